SELECT position, stream, kind FROM event_log WHERE position BETWEEN ?1 AND ?2 ORDER BY position
