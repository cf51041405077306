-- Runs, and how many of their events are where they name them.
SELECT
    r.first_id, r.last_id, r.position, r.count,
    EXISTS (SELECT FROM {streams} AS s WHERE s.id = r.stream),
    (
        SELECT count(DISTINCT e.event_id) FROM {log} AS e
        WHERE
            e.position BETWEEN r.position AND r.position + r.count - 1 AND e.stream = r.stream
            AND e.version = CASE r.first_version WHEN 0 THEN 0 ELSE r.first_version + e.position - r.position END
            AND e.event_id BETWEEN r.first_id AND r.last_id
    )
FROM (
    SELECT *, sum(count) OVER (ORDER BY first_id) - count AS before
    FROM (SELECT * FROM {runs} WHERE first_id >= $1 ORDER BY first_id LIMIT $2) AS listed
) AS r
WHERE r.before < $3
ORDER BY r.first_id
