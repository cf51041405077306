SELECT EXISTS (SELECT 1 FROM categories NOT INDEXED WHERE tenant = ?1 AND aggregate_type = ?2)
