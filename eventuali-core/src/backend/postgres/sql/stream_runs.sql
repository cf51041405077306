WITH bounds AS MATERIALIZED (
    SELECT
        s.id,
        CASE
            WHEN $4 >= s.last_position THEN s.version WHEN $4 > 0 THEN {version_at}(s.id, s.version, $4) ELSE 0
        END AS after_version,
        CASE
            WHEN $5 >= s.last_position THEN s.version WHEN $5 > 0 THEN {version_at}(s.id, s.version, $5) ELSE 0
        END AS until_version
    FROM {streams} AS s
    WHERE s.tenant = $1 AND s.aggregate_type = $2 AND s.aggregate_id = $3
)
SELECT r.position, r.position + r.count - 1
FROM bounds AS b
CROSS JOIN LATERAL (
    SELECT k.position, k.first_version, k.count FROM {runs} AS k
    WHERE
        k.stream = b.id AND k.first_version > 0
        AND k.first_version >= coalesce(
            (
                SELECT max(m.first_version) FROM {runs} AS m
                WHERE m.stream = b.id AND m.first_version > 0 AND m.first_version <= b.after_version + 1
            ), 1
        )
        AND k.first_version <= b.until_version
    ORDER BY k.first_version /* DESC */ LIMIT $6
) AS r
ORDER BY r.first_version /* DESC */
