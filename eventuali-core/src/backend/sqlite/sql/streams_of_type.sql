SELECT s.id FROM categories AS c CROSS JOIN streams AS s ON s.category = c.id
WHERE c.tenant = ?1 AND c.aggregate_type = ?2 LIMIT ?3
