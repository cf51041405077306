SELECT e.position FROM {log} AS e
WHERE e.position BETWEEN $1 AND $2 AND strpos(e.metadata, $3) > 0
ORDER BY e.position
