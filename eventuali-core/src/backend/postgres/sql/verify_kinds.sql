-- Spans of kinds, and whether an event of the kind stands at both ends.
SELECT
    k.kind, k.first, k.last,
    k.first <= k.last
    AND EXISTS (SELECT FROM {log} AS e WHERE e.position = k.first AND e.kind = k.kind)
    AND EXISTS (SELECT FROM {log} AS e WHERE e.position = k.last AND e.kind = k.kind)
FROM {kind_spans} AS k
WHERE (k.kind, k.first) > ($1, $2)
ORDER BY k.kind, k.first LIMIT $3
