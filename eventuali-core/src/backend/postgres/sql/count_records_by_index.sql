SELECT count(*) FROM {record_index} AS i
WHERE
    i.tenant = $1 AND i.space = $2 AND i.name = $3
    AND (i.rank, i.whole, i.fraction, i.words) >= ($4, $5, $6, $7)
    AND (i.rank, i.whole, i.fraction, i.words) <= ($8, $9, $10, $11)
