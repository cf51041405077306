SELECT d.key, d.version, d.commit_id, d.due, CASE WHEN $7 THEN d.bytes ELSE '' END AS bytes, d.names, d.ranks, d.wholes, d.fractions, d.words
FROM {documents} AS d
WHERE
    d.tenant = $1 AND d.space = $2
    AND d.due <= coalesce($3, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
    AND (d.due, d.key) > /* < */ ($4, $5)
ORDER BY d.due /* DESC */, d.key /* DESC */ LIMIT $6
