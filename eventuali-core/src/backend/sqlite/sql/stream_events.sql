SELECT
    e.position, e.stream, e.version, e.kind, e.event_id, e.timestamp, e.recorded_at, e.checksum,
    e.metadata, e.payload
FROM stream_runs AS r
CROSS JOIN event_log AS e ON e.position BETWEEN r.position AND r.position + r.count - 1
WHERE
    r.stream = ?1
    AND r.first_version >= coalesce(
        (SELECT max(first_version) FROM stream_runs WHERE stream = ?1 AND first_version <= ?2 + 1), 0
    )
    AND r.first_version <= ?3
    AND e.version > ?2 AND e.version <= ?3
ORDER BY r.first_version /* DESC */, e.position /* DESC */
