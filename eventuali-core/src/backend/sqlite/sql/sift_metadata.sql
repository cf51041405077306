SELECT position, stream, kind, kept(checksum, stream, kind, metadata) FROM event_log
WHERE position BETWEEN ?1 AND ?2 AND (instr(metadata, ?3) > 0 OR NOT kept(checksum, stream, kind, metadata))
ORDER BY position
