SELECT position, recorded_at FROM event_log ORDER BY position DESC LIMIT 1
