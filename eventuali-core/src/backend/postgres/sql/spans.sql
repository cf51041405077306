SELECT
    e.position, e.stream, e.version, e.kind, e.event_id, e.timestamp, e.recorded_at, e.checksum,
    CASE WHEN octet_length(e.metadata) <= $5 THEN e.metadata END,
    CASE WHEN octet_length(e.payload) + coalesce(octet_length(e.metadata), 0) <= $5 THEN e.payload END
FROM unnest($1::bigint[], $2::bigint[]) AS s (first, last)
CROSS JOIN LATERAL (
    SELECT * FROM {log} AS l
    WHERE l.position BETWEEN s.first AND s.last AND ($3::integer[] IS NULL OR l.kind = ANY($3))
    ORDER BY l.position /* DESC */ LIMIT $4
) AS e
ORDER BY e.position /* DESC */ LIMIT $4
