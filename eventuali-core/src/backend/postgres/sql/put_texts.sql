INSERT INTO {records} AS r (tenant, space, key, version, commit_id, due, bytes, text, lexemes)
SELECT n.tenant, n.space, n.key, 1, $4, n.due, n.bytes, n.text, n.lexemes::TSVECTOR
FROM unnest($1, $2, $3, $5, $6, $7::TEXT[], $8::TEXT[]) WITH ORDINALITY AS n (tenant, space, key, due, bytes, text, lexemes, place)
ORDER BY n.place
ON CONFLICT (tenant, space, key) DO UPDATE SET
    version = r.version + 1, commit_id = excluded.commit_id, due = excluded.due, bytes = excluded.bytes,
    text = CASE WHEN r.text = excluded.text THEN r.text ELSE excluded.text END,
    lexemes = CASE WHEN r.text = excluded.text THEN r.lexemes ELSE excluded.lexemes END
RETURNING tenant, space, key, version
