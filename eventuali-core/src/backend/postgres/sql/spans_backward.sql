SELECT position, stream, version, kind, event_id, timestamp, recorded_at, checksum, metadata, payload
FROM (
    SELECT *, sum(size) OVER (ORDER BY position DESC) AS total
    FROM (
        SELECT e.*, octet_length(e.payload) + coalesce(octet_length(e.metadata), 0) AS size
        FROM unnest($1::bigint[], $2::bigint[]) AS s (first, last)
        INNER JOIN {log} AS e ON e.position BETWEEN s.first AND s.last
        WHERE $3::integer[] IS NULL OR e.kind = ANY($3)
        ORDER BY e.position DESC LIMIT $4
    ) AS found
) AS sized
WHERE total - size <= $5
ORDER BY position DESC
