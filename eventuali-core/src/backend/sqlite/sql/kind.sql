SELECT id FROM kinds WHERE event_type = ?1 AND event_version = ?2 AND codec = ?3
