SELECT e.position FROM {log} AS e
WHERE
    e.position BETWEEN $1 AND $2
    AND (SELECT s.aggregate_type FROM {streams} AS s WHERE s.id = e.stream AND s.tenant = $3) = $4
ORDER BY e.position
