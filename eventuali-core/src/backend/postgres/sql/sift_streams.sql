SELECT e.position FROM {log} AS e
WHERE e.position BETWEEN $1 AND $2 AND e.stream = ANY($3::bigint[])
ORDER BY e.position
