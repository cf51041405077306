SELECT id, tenant, aggregate_type, aggregate_id FROM {streams} WHERE id = ANY($1)
