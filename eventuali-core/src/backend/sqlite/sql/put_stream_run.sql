INSERT INTO stream_runs (stream, first_version, position, count)
VALUES (?1, ?2, ?3, ?4), (?1, 9223372036854775807, ?2 + ?4 - 1, 0)
ON CONFLICT DO UPDATE SET position = excluded.position WHERE excluded.count = 0
