INSERT INTO stream_runs (stream, first_version, position, count) VALUES (?1, ?2, ?3, ?4)
