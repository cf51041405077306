SELECT k.id, s.first, s.last
FROM {kinds} AS k
CROSS JOIN LATERAL (
    SELECT x.first, x.last FROM {kind_spans} AS x
    WHERE
        x.kind = k.id
        AND x.first >= coalesce(
            (SELECT max(m.first) FROM {kind_spans} AS m WHERE m.kind = k.id AND m.first <= $2 + 1), 0
        )
        AND x.last > $2 AND x.first <= $3
    ORDER BY x.first /* DESC */ LIMIT $4
) AS s
WHERE k.event_type = ANY($1)
ORDER BY k.id, s.first /* DESC */
