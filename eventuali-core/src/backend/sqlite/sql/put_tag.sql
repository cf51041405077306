INSERT INTO tag_ends (tenant, tag, position) VALUES (?1, ?2, ?3)
ON CONFLICT DO UPDATE SET position = excluded.position WHERE position < excluded.position
