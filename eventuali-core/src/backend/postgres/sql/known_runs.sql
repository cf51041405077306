SELECT coalesce(k.last_id >= r.first_id, false)
FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS r (first_id, last_id, place)
LEFT JOIN LATERAL (
    SELECT s.last_id FROM {runs} AS s WHERE s.first_id <= r.last_id ORDER BY s.first_id DESC LIMIT 1
) AS k ON true
ORDER BY r.place
