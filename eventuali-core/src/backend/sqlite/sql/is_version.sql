SELECT EXISTS (SELECT 1 FROM event_log WHERE position = ?1 AND stream = ?2 AND version = ?3)
