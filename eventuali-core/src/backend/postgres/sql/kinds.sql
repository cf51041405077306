SELECT id, event_type, event_version, codec FROM {kinds} WHERE id = ANY($1)
