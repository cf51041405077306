SELECT position, stream, version, kind, event_id, timestamp, recorded_at, checksum, metadata, payload
FROM (
    SELECT *, sum(size) OVER (ORDER BY position DESC) AS total
    FROM (
        SELECT *, octet_length(payload) + coalesce(octet_length(metadata), 0) AS size FROM {log}
        WHERE position BETWEEN $1 AND $2 AND ($3::integer[] IS NULL OR kind = ANY($3))
        ORDER BY position DESC LIMIT $4
    ) AS found
) AS sized
WHERE total - size <= $5
ORDER BY position DESC
