SELECT d.key, d.version, d.commit_id, d.due, d.bytes, d.names, d.ranks, d.wholes, d.fractions, d.words, i.rank, i.whole, i.fraction, i.words AS text
FROM {record_index} AS i
INNER JOIN {documents} AS d ON d.tenant = i.tenant AND d.space = i.space AND d.key = i.key
WHERE
    i.tenant = $1 AND i.space = $2 AND i.name = $3
    AND (i.rank, i.whole, i.fraction, i.words) >= ($4, $5, $6, $7)
    AND (i.rank, i.whole, i.fraction, i.words) <= ($8, $9, $10, $11)
    AND (i.rank, i.whole, i.fraction, i.words, i.key) > /* < */ ($12, $13, $14, $15, $16)
ORDER BY i.rank /* DESC */, i.whole /* DESC */, i.fraction /* DESC */, i.words /* DESC */, i.key /* DESC */ LIMIT $17
