-- Tags, with the tenant and the metadata of the event that each one names.
SELECT t.tenant, t.tag, t.position, t.owner, t.metadata
FROM (
    SELECT
        n.*, s.tenant AS owner, e.metadata,
        sum(octet_length(e.metadata)) OVER (ORDER BY n.tenant, n.tag, n.position)
        - octet_length(e.metadata) AS before
    FROM (
        SELECT tenant, tag, position FROM {tags}
        WHERE (tenant, tag, position) > ($1, $2, $3)
        ORDER BY tenant, tag, position LIMIT $4
    ) AS n
    LEFT JOIN {log} AS e ON e.position = n.position
    LEFT JOIN {streams} AS s ON s.id = e.stream
) AS t
WHERE coalesce(t.before, 0) < $5
ORDER BY t.tenant, t.tag, t.position
