SELECT r.first_id, r.last_id, r.position, r.records
FROM unnest($1::uuid[]) WITH ORDINALITY AS i (id, place)
LEFT JOIN LATERAL (
    SELECT k.first_id, k.last_id, k.position, k.records FROM {runs} AS k
    WHERE k.first_id <= i.id ORDER BY k.first_id DESC LIMIT 1
) AS r ON r.last_id >= i.id
ORDER BY i.place
