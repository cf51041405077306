-- Streams, and what their runs make of them: the first version that does not follow those before,
-- or whose position does not; how many versions they have; where the last one is.
SELECT s.id, s.aggregate_type, s.aggregate_id, s.version, s.last_position, r.astray, r.versions, r.last
FROM (
    SELECT *, sum(version) OVER (ORDER BY id) - version AS before
    FROM (SELECT * FROM {streams} WHERE id > $1 ORDER BY id LIMIT $2) AS listed
) AS s
CROSS JOIN LATERAL (
    SELECT
        min(k.first_version) FILTER (WHERE k.first_version <> k.due OR k.position <= k.above) AS astray,
        coalesce(sum(k.count), 0)::bigint AS versions,
        coalesce(max(k.position + k.count - 1), 0) AS last
    FROM (
        SELECT
            x.first_version, x.position, x.count,
            1 + coalesce(sum(x.count) OVER earlier, 0) AS due,
            max(x.position + x.count - 1) OVER earlier AS above
        FROM {runs} AS x WHERE x.stream = s.id AND x.first_version > 0
        WINDOW earlier AS (
            ORDER BY x.first_version ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
    ) AS k
) AS r
WHERE s.before < $3
ORDER BY s.id
