SELECT max(key) FROM (SELECT key FROM records WHERE tenant = ?1 AND space = ?2 ORDER BY key LIMIT ?3)
