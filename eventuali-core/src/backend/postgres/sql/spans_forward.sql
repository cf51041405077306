SELECT position, stream, version, kind, event_id, timestamp, recorded_at, checksum, metadata, payload
FROM (
    SELECT *, sum(size) OVER (ORDER BY position) AS total
    FROM (
        SELECT e.*, octet_length(e.payload) + coalesce(octet_length(e.metadata), 0) AS size
        FROM unnest($1::bigint[], $2::bigint[]) AS s (first, last)
        CROSS JOIN LATERAL (
            SELECT * FROM {log} AS l
            WHERE l.position BETWEEN s.first AND s.last AND ($3::integer[] IS NULL OR l.kind = ANY($3))
            ORDER BY l.position LIMIT $4
        ) AS e
        ORDER BY e.position LIMIT $4
    ) AS found
) AS sized
WHERE total - size <= $5
ORDER BY position
