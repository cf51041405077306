-- A key is looked up by itself: OFFSET 0 keeps the planner from reading the whole space.
SELECT d.key, d.version, d.commit_id, d.due, CASE WHEN $5 THEN d.bytes ELSE '' END AS bytes, d.names, d.ranks, d.wholes, d.fractions, d.words
FROM unnest($3::TEXT[]) AS k (key)
CROSS JOIN LATERAL (
    SELECT v.* FROM {documents} AS v WHERE v.tenant = $1 AND v.space = $2 AND v.key = k.key OFFSET 0
) AS d
ORDER BY d.key /* DESC */ LIMIT $4
