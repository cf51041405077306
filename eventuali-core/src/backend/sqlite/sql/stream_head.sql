SELECT l.version, r.first_version + r.count - 1, r.position + r.count - 1
FROM (SELECT (SELECT version FROM ends WHERE stream = ?1) AS version) AS l
LEFT JOIN stream_runs AS r
    ON r.stream = ?1
    AND r.first_version = (SELECT max(first_version) FROM stream_runs WHERE stream = ?1)
