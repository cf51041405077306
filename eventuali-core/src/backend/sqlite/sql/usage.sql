SELECT stream, length(payload) + coalesce(length(CAST(metadata AS BLOB)), 0), version = 1
FROM event_log WHERE position BETWEEN ?1 AND ?2
