SELECT
    t.position, e.stream, e.version, e.kind, e.event_id, e.timestamp, e.recorded_at, e.checksum,
    CASE WHEN octet_length(e.metadata) <= $6 THEN e.metadata END,
    CASE WHEN octet_length(e.payload) + coalesce(octet_length(e.metadata), 0) <= $6 THEN e.payload END
FROM {tags} AS t
LEFT JOIN LATERAL (SELECT * FROM {log} AS l WHERE l.position = t.position LIMIT 1) AS e ON true
WHERE t.tenant = $1 AND t.tag = $2 AND t.position > $3 AND t.position <= $4
ORDER BY t.position /* DESC */ LIMIT $5
