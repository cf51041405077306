INSERT INTO stream_runs (stream, first_version, position, count) VALUES (?1, 9223372036854775807, ?2, 0)
