SELECT
    (SELECT version FROM ends WHERE stream = 0),
    e.position, e.recorded_at, e.event_id,
    (SELECT event_id FROM event_log WHERE position = ?1)
FROM (SELECT max(position) AS last FROM event_log) AS l
LEFT JOIN event_log AS e ON e.position = l.last
