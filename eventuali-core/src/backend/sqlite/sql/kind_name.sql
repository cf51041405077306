SELECT event_type, event_version, codec FROM kinds WHERE id = ?1
