-- Tags of events that the index of tags lacks.
SELECT n.position, n.tag
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS n (tenant, tag, position)
WHERE NOT EXISTS (
    SELECT FROM {tags} AS t WHERE t.tenant = n.tenant AND t.tag = n.tag AND t.position = n.position
)
ORDER BY n.position, n.tag
