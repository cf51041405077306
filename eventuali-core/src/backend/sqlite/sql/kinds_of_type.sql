SELECT id FROM kinds WHERE event_type = ?1
