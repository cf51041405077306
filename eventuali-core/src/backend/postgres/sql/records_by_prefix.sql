SELECT d.key, d.version, d.commit_id, d.due, CASE WHEN $6 THEN d.bytes ELSE '' END AS bytes, d.names, d.ranks, d.wholes, d.fractions, d.words
FROM {documents} AS d
WHERE d.tenant = $1 AND d.space = $2 AND d.key >= $3 AND d.key > /* < */ $4
ORDER BY d.key /* DESC */ LIMIT $5
