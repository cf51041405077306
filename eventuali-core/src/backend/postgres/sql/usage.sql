-- Sizes are known without what is stored out of line.
SELECT s.tenant, sum(c.events)::bigint, sum(c.bytes)::bigint, sum(c.begun)::bigint
FROM (
    SELECT
        l.stream,
        count(*) AS events,
        sum(octet_length(l.payload) + coalesce(octet_length(l.metadata), 0)) AS bytes,
        count(*) FILTER (WHERE l.version = 1) AS begun
    FROM {log} AS l WHERE l.position BETWEEN $1 AND $2
    GROUP BY l.stream
) AS c
INNER JOIN {streams} AS s ON s.id = c.stream
WHERE $3::text IS NULL OR s.tenant = $3
GROUP BY s.tenant
