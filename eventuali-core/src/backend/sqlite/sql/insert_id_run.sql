INSERT INTO id_runs (first_id, position, count) VALUES (?1, ?2, ?3)
