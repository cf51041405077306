SELECT
    e.position, e.stream, e.version, e.kind, e.event_id, e.timestamp, e.recorded_at, e.checksum,
    CASE WHEN octet_length(e.metadata) <= $5 THEN e.metadata END,
    CASE WHEN octet_length(e.payload) + coalesce(octet_length(e.metadata), 0) <= $5 THEN e.payload END
FROM {log} AS e
WHERE e.position > $2 AND e.position <= $3 AND strpos(e.metadata, $1) > 0
ORDER BY e.position /* DESC */ LIMIT $4
