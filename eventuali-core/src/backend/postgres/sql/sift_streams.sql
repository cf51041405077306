SELECT e.position FROM {log} AS e INNER JOIN {streams} AS s ON s.id = e.stream
WHERE
    e.position BETWEEN $1 AND $2 AND ($3::text IS NULL OR strpos(e.metadata, $3) > 0)
    AND s.tenant = $4
    AND ($5::text IS NULL OR s.aggregate_type = $5) AND ($6::text IS NULL OR s.aggregate_id = $6)
ORDER BY e.position
