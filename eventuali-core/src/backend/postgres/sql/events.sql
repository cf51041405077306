SELECT
    position, stream, version, kind, event_id, timestamp, recorded_at, checksum,
    CASE WHEN octet_length(metadata) <= $5 THEN metadata END,
    CASE WHEN octet_length(payload) + coalesce(octet_length(metadata), 0) <= $5 THEN payload END
FROM {log}
WHERE position BETWEEN $1 AND $2 AND ($3::integer[] IS NULL OR kind = ANY($3))
ORDER BY position /* DESC */ LIMIT $4
