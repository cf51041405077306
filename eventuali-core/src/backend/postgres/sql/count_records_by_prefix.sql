SELECT count(*) FROM {records} AS r
WHERE r.tenant = $1 AND r.space = $2 AND r.key >= $3 AND r.key < $4 AND r.bytes IS NOT NULL
