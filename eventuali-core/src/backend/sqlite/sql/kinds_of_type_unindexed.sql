SELECT id FROM kinds NOT INDEXED WHERE event_type = ?1
