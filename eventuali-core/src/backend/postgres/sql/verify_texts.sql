SELECT r.tenant, r.space, r.key, r.text
FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) AS n (tenant, space, key)
INNER JOIN {records} AS r ON r.tenant = n.tenant AND r.space = n.space AND r.key = n.key
WHERE r.text IS NOT NULL
