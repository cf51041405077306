INSERT INTO ends (stream, version) VALUES (?1, ?2)
