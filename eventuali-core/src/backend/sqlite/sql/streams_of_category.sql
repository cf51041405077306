SELECT id, aggregate_id FROM streams WHERE category = ?1 AND aggregate_id > ?2 ORDER BY aggregate_id LIMIT ?3
