DELETE FROM {record_index} AS i
USING unnest($1::text[], $2::text[], $3::text[]) AS n (tenant, space, key)
WHERE i.tenant = n.tenant AND i.space = n.space AND i.key = n.key
