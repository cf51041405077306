SELECT aggregate_id, version, last_position FROM {streams}
WHERE tenant = $1 AND aggregate_type = $2 AND aggregate_id > $3 AND version > 0
ORDER BY aggregate_id LIMIT $4
