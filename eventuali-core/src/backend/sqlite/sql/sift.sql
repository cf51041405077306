SELECT position, stream, kind, kept(checksum, stream, kind, metadata)
FROM event_log WHERE position BETWEEN ?1 AND ?2 ORDER BY position
