SELECT
    (SELECT position FROM id_runs WHERE first_id = x'ffffffffffffffffffffffffffffffffff'),
    e.position, e.recorded_at, e.event_id,
    (SELECT event_id FROM event_log WHERE position = ?1)
FROM (SELECT max(position) AS last FROM event_log) AS l
LEFT JOIN event_log AS e ON e.position = l.last
