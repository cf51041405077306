WITH RECURSIVE found AS (
    SELECT (
        SELECT min(aggregate_type) FROM {streams}
        WHERE tenant = $1 AND aggregate_type >= $2 AND aggregate_type > ''
    ) AS aggregate_type
    UNION ALL
    SELECT (
        SELECT min(s.aggregate_type) FROM {streams} AS s
        WHERE s.tenant = $1 AND s.aggregate_type > f.aggregate_type
    )
    FROM found AS f WHERE f.aggregate_type IS NOT NULL
)
SELECT aggregate_type FROM found WHERE aggregate_type IS NOT NULL
