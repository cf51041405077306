SELECT position, stream, kind FROM event_log
WHERE position BETWEEN ?1 AND ?2 AND metadata IS NOT NULL AND instr(metadata, ?3) > 0 ORDER BY position
