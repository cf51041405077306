SELECT position, stream, kind FROM event_log
WHERE position BETWEEN ?1 AND ?2 AND stream IN (SELECT value FROM json_each(?3)) ORDER BY position
