SELECT r.position, r.position + r.count - 1
FROM {streams} AS s INNER JOIN {runs} AS r ON r.stream = s.id AND r.first_version > 0
WHERE
    s.tenant = $1 AND s.aggregate_type = $2 AND s.aggregate_id = $3
    AND r.position + r.count - 1 > $4 AND r.position <= $5
ORDER BY r.first_version DESC LIMIT $6
