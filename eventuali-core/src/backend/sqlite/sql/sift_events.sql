SELECT position, stream, version, kind, event_id, timestamp, recorded_at, checksum, metadata, payload
FROM event_log
WHERE
    position > ?1 AND position <= ?2
    AND (instr(metadata, ?3) > 0 OR NOT kept(checksum, stream, kind, metadata))
ORDER BY position /* DESC */
