INSERT INTO kinds (event_type, event_version, codec) VALUES (?1, ?2, ?3)
