SELECT id FROM categories WHERE tenant = ?1 AND aggregate_type = ?2
