SELECT n.place, r.bytes
FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) WITH ORDINALITY AS n (tenant, space, key, place)
INNER JOIN {records} AS r ON r.tenant = n.tenant AND r.space = n.space AND r.key = n.key
WHERE r.bytes IS NOT NULL
