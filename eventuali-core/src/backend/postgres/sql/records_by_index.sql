-- The index leads, and each document is looked up by its key: OFFSET 0 keeps the planner, which may know nothing of a
-- table that has just been filled, from reading the whole space for each of them.
SELECT d.key, d.version, d.commit_id, d.due, CASE WHEN $18 THEN d.bytes ELSE '' END AS bytes, d.names, d.ranks, d.wholes, d.fractions, d.words, i.rank, i.whole, i.fraction, i.words AS text
FROM {record_index} AS i
CROSS JOIN LATERAL (
    SELECT v.* FROM {documents} AS v WHERE v.tenant = $1 AND v.space = $2 AND v.key = i.key OFFSET 0
) AS d
WHERE
    i.tenant = $1 AND i.space = $2 AND i.name = $3
    AND (i.rank, i.whole, i.fraction, i.words) >= ($4, $5, $6, $7)
    AND (i.rank, i.whole, i.fraction, i.words) <= ($8, $9, $10, $11)
    AND (i.rank, i.whole, i.fraction, i.words, i.key) > /* < */ ($12, $13, $14, $15, $16)
ORDER BY i.rank /* DESC */, i.whole /* DESC */, i.fraction /* DESC */, i.words /* DESC */, i.key /* DESC */ LIMIT $17
