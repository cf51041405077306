SELECT c.id, n.tenant IS c.tenant AND n.aggregate_type IS c.aggregate_type
FROM categories AS c LEFT JOIN categories AS n ON n.id = c.id
WHERE c.tenant = ?1 AND c.aggregate_type = ?2
