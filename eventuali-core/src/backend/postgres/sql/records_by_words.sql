-- The words lead, and nothing else: OFFSET 0 keeps the planner from reading the space. Words that stand side by side are
-- looked for in the text, since lexemes know only the first 16,383 places, and 255 of each.
SELECT d.key, d.version, d.commit_id, d.due, CASE WHEN $6 THEN d.bytes ELSE '' END AS bytes, d.names, d.ranks, d.wholes, d.fractions, d.words
FROM (
    SELECT f.key, ts_rank(f.lexemes, $3::TSQUERY, 1) AS rank
    FROM (
        SELECT r.tenant, r.space, r.key, r.text, r.lexemes FROM {records} AS r
        WHERE r.lexemes @@ $3::TSQUERY OFFSET 0
    ) AS f
    WHERE
        f.tenant = $1 AND f.space = $2
        AND (
            cardinality($4::TEXT[]) = 0
            OR NOT EXISTS (SELECT FROM unnest($4::TEXT[]) AS p (phrase) WHERE strpos(' ' || f.text || ' ', p.phrase) = 0)
        )
    ORDER BY rank DESC, f.key LIMIT $5
) AS best
CROSS JOIN LATERAL (
    SELECT v.* FROM {documents} AS v WHERE v.tenant = $1 AND v.space = $2 AND v.key = best.key OFFSET 0
) AS d
ORDER BY best.rank DESC, d.key /* DESC */
