SELECT count(*)
FROM (SELECT r.tenant, r.space, r.text FROM {records} AS r WHERE r.lexemes @@ $3::TSQUERY OFFSET 0) AS f
WHERE
    f.tenant = $1 AND f.space = $2
    AND (
        cardinality($4::TEXT[]) = 0
        OR NOT EXISTS (SELECT FROM unnest($4::TEXT[]) AS p (phrase) WHERE strpos(' ' || f.text || ' ', p.phrase) = 0)
    )
