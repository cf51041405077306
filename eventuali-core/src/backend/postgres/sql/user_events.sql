SELECT
    position, stream, version, kind, event_id, timestamp, recorded_at, checksum,
    CASE WHEN octet_length(metadata) <= $5 THEN metadata END,
    CASE WHEN octet_length(payload) + coalesce(octet_length(metadata), 0) <= $5 THEN payload END
FROM {log}
WHERE
    strpos(metadata, '"user_id":') > 0 AND {user}(metadata) COLLATE "C" = $1
    AND position > $2 AND position <= $3
ORDER BY position /* DESC */ LIMIT $4
