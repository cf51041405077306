SELECT stream, octet_length(payload) + coalesce(octet_length(metadata), 0), version = 1
FROM event_log WHERE position BETWEEN ?1 AND ?2
