SELECT position, stream, version, kind, event_id, timestamp, recorded_at, checksum, metadata, payload
FROM (
    SELECT *, sum(size) OVER (ORDER BY position DESC) AS total
    FROM (
        SELECT *, octet_length(payload) + coalesce(octet_length(metadata), 0) AS size FROM {log}
        WHERE position = ANY($1) AND ($2::integer[] IS NULL OR kind = ANY($2))
        ORDER BY position DESC LIMIT $3
    ) AS found
) AS sized
WHERE total - size <= $4
ORDER BY position DESC
