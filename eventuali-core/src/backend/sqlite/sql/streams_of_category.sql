SELECT s.id, s.aggregate_id, n.category IS s.category AND n.aggregate_id IS s.aggregate_id
FROM streams AS s LEFT JOIN streams AS n ON n.id = s.id
WHERE s.category = ?1 AND s.aggregate_id > ?2 ORDER BY s.aggregate_id LIMIT ?3
