SELECT
    (SELECT version FROM ends WHERE stream = 0),
    (SELECT max(position) FROM event_log),
    (SELECT recorded_at FROM event_log ORDER BY position DESC LIMIT 1)
