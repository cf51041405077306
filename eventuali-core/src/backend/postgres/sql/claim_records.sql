INSERT INTO {records} (tenant, space, key, version, commit_id)
SELECT n.tenant, n.space, n.key, 0, '00000000-0000-0000-0000-000000000000'
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS n (tenant, space, key, place)
WHERE NOT EXISTS (
    SELECT FROM {records} AS r WHERE r.tenant = n.tenant AND r.space = n.space AND r.key = n.key
)
ORDER BY n.place
ON CONFLICT DO NOTHING
