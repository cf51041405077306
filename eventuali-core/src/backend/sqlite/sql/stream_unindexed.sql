SELECT EXISTS (SELECT 1 FROM streams NOT INDEXED WHERE category = ?1 AND aggregate_id = ?2)
