SELECT id FROM {kinds} WHERE event_type = ANY($1)
