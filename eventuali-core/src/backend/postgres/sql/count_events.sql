-- Events by owner, type of stream and kind, and by stream where $4 says so.
SELECT
    s.tenant, s.aggregate_type, CASE WHEN $4 THEN s.aggregate_id ELSE '' END, c.kind, sum(c.events)::bigint
FROM (
    SELECT e.stream, e.kind, count(*) AS events
    FROM unnest($1::bigint[], $2::bigint[]) AS p (first, last)
    CROSS JOIN LATERAL (
        SELECT l.stream, l.kind FROM {log} AS l
        WHERE l.position BETWEEN p.first AND p.last AND ($3::integer[] IS NULL OR l.kind = ANY($3))
    ) AS e
    GROUP BY e.stream, e.kind
) AS c
INNER JOIN {streams} AS s ON s.id = c.stream
WHERE s.tenant = $5
GROUP BY 1, 2, 3, 4
