SELECT
    t.position, e.stream, e.version, e.kind, e.event_id, e.timestamp, e.recorded_at, e.checksum,
    e.metadata, e.payload, t.prior
FROM tags AS t
LEFT JOIN event_log AS e ON e.position = t.position
WHERE t.tenant = ?1 AND t.tag = ?2 AND t.position > ?3 AND t.position <= ?4
ORDER BY t.position /* DESC */
