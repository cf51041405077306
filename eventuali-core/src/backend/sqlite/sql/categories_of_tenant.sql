SELECT id, aggregate_type FROM categories WHERE tenant = ?1 AND aggregate_type >= ?2 AND aggregate_type <> ''
ORDER BY aggregate_type
