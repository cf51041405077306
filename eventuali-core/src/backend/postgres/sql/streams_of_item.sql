SELECT s.id FROM {streams} AS s
WHERE s.tenant = $1 AND s.aggregate_type = $2 AND ($3::text IS NULL OR s.aggregate_id = $3) LIMIT $4
