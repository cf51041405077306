SELECT
    r.position, r.position + r.count - 1, r.first_version, r.first_version + r.count - 1,
    e.stream IS r.stream AND e.version IS r.first_version
    AND z.stream IS r.stream AND z.version IS r.first_version + r.count - 1
FROM stream_runs AS r
LEFT JOIN event_log AS e ON e.position = r.position
LEFT JOIN event_log AS z ON z.position = r.position + r.count - 1
WHERE
    r.stream = ?1
    AND r.first_version >= coalesce(
        (SELECT max(first_version) FROM stream_runs WHERE stream = ?1 AND first_version <= ?2 + 1), 0
    )
    AND r.first_version <= ?3
ORDER BY r.first_version /* DESC */ LIMIT ?4
