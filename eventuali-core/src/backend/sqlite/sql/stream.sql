SELECT s.id, n.category IS s.category AND n.aggregate_id IS s.aggregate_id
FROM streams AS s LEFT JOIN streams AS n ON n.id = s.id
WHERE s.category = ?1 AND s.aggregate_id = ?2
