-- Records whose lexemes are not those of their text.
SELECT r.space, r.key
FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::TEXT[]) AS n (tenant, space, key, text, lexemes)
INNER JOIN {records} AS r ON r.tenant = n.tenant AND r.space = n.space AND r.key = n.key
WHERE r.text = n.text AND r.lexemes IS DISTINCT FROM n.lexemes::TSVECTOR
