SELECT s.id FROM categories AS c CROSS JOIN streams AS s ON s.category = c.id AND s.aggregate_id = ?2
WHERE c.tenant = ?1 AND (?3 IS NULL OR c.aggregate_type = ?3) LIMIT ?4
