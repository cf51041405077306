-- Their text counts by its bytes; whether it has lexemes, and none without it.
SELECT
    tenant, space, key, version, bytes IS NOT NULL, octet_length(text)::BIGINT,
    (text IS NULL) = (lexemes IS NULL) AND (text IS NULL OR bytes IS NOT NULL)
FROM {records}
WHERE (tenant, space, key) > ($1, $2, $3)
ORDER BY tenant, space, key LIMIT $4
