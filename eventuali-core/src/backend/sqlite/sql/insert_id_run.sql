INSERT INTO id_runs (first_id, position, count, records) VALUES (?1, ?2, ?3, ?4)
