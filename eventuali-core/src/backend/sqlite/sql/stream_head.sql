SELECT e.version, r.first_version + r.count - 1, r.position + r.count - 1
FROM (
    SELECT (SELECT position FROM stream_runs WHERE stream = ?1 AND first_version = 9223372036854775807) AS version
) AS e
LEFT JOIN stream_runs AS r
    ON r.stream = ?1
    AND r.first_version = (
        SELECT max(first_version) FROM stream_runs WHERE stream = ?1 AND first_version < 9223372036854775807
    )
