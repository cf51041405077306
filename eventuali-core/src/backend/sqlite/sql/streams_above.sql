SELECT id, category, aggregate_id FROM streams WHERE id > ?1 ORDER BY id LIMIT ?2
