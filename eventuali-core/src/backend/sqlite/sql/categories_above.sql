SELECT id, tenant, aggregate_type FROM categories WHERE id > ?1 ORDER BY id LIMIT ?2
