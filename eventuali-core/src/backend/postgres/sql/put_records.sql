INSERT INTO {records} AS r (tenant, space, key, version, commit_id, due, bytes)
SELECT n.tenant, n.space, n.key, 1, $4, n.due, n.bytes
FROM unnest($1, $2, $3, $5, $6) WITH ORDINALITY AS n (tenant, space, key, due, bytes, place)
ORDER BY n.place
ON CONFLICT (tenant, space, key) DO UPDATE SET
    version = r.version + 1, commit_id = excluded.commit_id, due = excluded.due, bytes = excluded.bytes,
    text = NULL, lexemes = NULL
RETURNING tenant, space, key, version
