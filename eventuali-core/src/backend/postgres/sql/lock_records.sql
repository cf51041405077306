SELECT r.version, r.commit_id, r.bytes IS NOT NULL
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS n (tenant, space, key, place)
INNER JOIN {records} AS r ON r.tenant = n.tenant AND r.space = n.space AND r.key = n.key
ORDER BY n.place
FOR NO KEY UPDATE OF r
