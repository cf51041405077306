SELECT k.place - 1, e.name, e.rank, e.whole, e.fraction, e.words
FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[]) WITH ORDINALITY AS k (tenant, space, key, place)
CROSS JOIN LATERAL (
    SELECT i.name, i.rank, i.whole, i.fraction, i.words
    FROM {record_index} AS i
    WHERE i.tenant = k.tenant AND i.space = k.space AND i.key = k.key OFFSET 0
) AS e
