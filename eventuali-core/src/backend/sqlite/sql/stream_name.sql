SELECT c.tenant, c.aggregate_type, s.aggregate_id
FROM streams AS s INNER JOIN categories AS c ON c.id = s.category
WHERE s.id = ?1
