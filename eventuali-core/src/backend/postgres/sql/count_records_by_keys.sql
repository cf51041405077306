SELECT count(r.key)
FROM unnest($3::TEXT[]) AS k (key)
CROSS JOIN LATERAL (
    SELECT f.key FROM {records} AS f
    WHERE f.tenant = $1 AND f.space = $2 AND f.key = k.key AND f.bytes IS NOT NULL OFFSET 0
) AS r
