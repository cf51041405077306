INSERT INTO records (tenant, space, key, version, commit_id, due, bytes, words)
VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7)
ON CONFLICT (tenant, space, key) DO UPDATE SET
    version = version + 1, commit_id = excluded.commit_id, due = excluded.due, bytes = excluded.bytes
RETURNING version, id, words
