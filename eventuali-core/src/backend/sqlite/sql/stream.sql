SELECT id FROM streams WHERE category = ?1 AND aggregate_id = ?2
