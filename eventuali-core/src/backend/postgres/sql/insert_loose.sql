INSERT INTO {streams} (version, last_position, tenant, aggregate_type, aggregate_id)
VALUES (0, 0, $1, '', '') ON CONFLICT (tenant, aggregate_type, aggregate_id) DO NOTHING
