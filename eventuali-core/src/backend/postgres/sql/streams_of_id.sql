WITH RECURSIVE types (aggregate_type) AS (
    (SELECT s.aggregate_type FROM {streams} AS s WHERE s.tenant = $1 ORDER BY s.aggregate_type LIMIT 1)
    UNION ALL
    SELECT (
        SELECT s.aggregate_type FROM {streams} AS s
        WHERE s.tenant = $1 AND s.aggregate_type > t.aggregate_type
        ORDER BY s.aggregate_type LIMIT 1
    )
    FROM types AS t WHERE t.aggregate_type IS NOT NULL
)
SELECT s.id
FROM types AS t
INNER JOIN {streams} AS s
    ON s.tenant = $1 AND s.aggregate_type = t.aggregate_type AND s.aggregate_id = $2
LIMIT $3
