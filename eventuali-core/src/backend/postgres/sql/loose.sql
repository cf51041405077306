SELECT id FROM {streams} WHERE tenant = $1 AND aggregate_type = '' AND aggregate_id = ''
