UPDATE stream_runs SET position = ?2 WHERE stream = ?1 AND first_version = 9223372036854775807
