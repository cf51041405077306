-- Events that an index lacks: that of streams and ids, or that of kinds.
SELECT e.position, r.position IS NULL, k.last IS NULL
FROM {log} AS e
LEFT JOIN LATERAL (
    SELECT x.last_id, x.stream, x.first_version, x.position, x.count FROM {runs} AS x
    WHERE x.first_id <= e.event_id ORDER BY x.first_id DESC LIMIT 1
) AS r ON
    r.last_id >= e.event_id AND r.stream = e.stream
    AND e.position BETWEEN r.position AND r.position + r.count - 1
    AND e.version = CASE r.first_version WHEN 0 THEN 0 ELSE r.first_version + e.position - r.position END
LEFT JOIN LATERAL (
    SELECT x.last FROM {kind_spans} AS x
    WHERE x.kind = e.kind AND x.first <= e.position ORDER BY x.first DESC LIMIT 1
) AS k ON k.last >= e.position
WHERE e.position BETWEEN $1 AND $2 AND (r.position IS NULL OR k.last IS NULL)
ORDER BY e.position
