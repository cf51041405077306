-- The versions of a stream follow one another: as many as lie between both bounds.
SELECT greatest(least(b.until_version, $7) - greatest(b.after_version, $6), 0)
FROM (
    SELECT
        CASE
            WHEN $4 >= s.last_position THEN s.version WHEN $4 > 0 THEN {version_at}(s.id, s.version, $4) ELSE 0
        END AS after_version,
        CASE
            WHEN $5 >= s.last_position THEN s.version WHEN $5 > 0 THEN {version_at}(s.id, s.version, $5) ELSE 0
        END AS until_version
    FROM {streams} AS s
    WHERE s.tenant = $1 AND s.aggregate_type = $2 AND s.aggregate_id = $3
) AS b
