INSERT INTO streams (category, aggregate_id) VALUES (?1, ?2)
