SELECT version FROM event_log WHERE position = ?1 AND stream = ?2
