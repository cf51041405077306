DELETE FROM {record_index} AS i
USING unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) AS n (tenant, space, key)
WHERE i.tenant = n.tenant AND i.space = n.space AND i.key = n.key
