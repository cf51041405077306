SELECT id, event_type FROM kinds NOT INDEXED
