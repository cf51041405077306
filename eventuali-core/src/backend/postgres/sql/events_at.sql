SELECT
    position, stream, version, kind, event_id, timestamp, recorded_at, checksum,
    CASE WHEN octet_length(metadata) <= $4 THEN metadata END,
    CASE WHEN octet_length(payload) + coalesce(octet_length(metadata), 0) <= $4 THEN payload END
FROM {log}
WHERE position = ANY($1) AND ($2::integer[] IS NULL OR kind = ANY($2))
ORDER BY position /* DESC */ LIMIT $3
