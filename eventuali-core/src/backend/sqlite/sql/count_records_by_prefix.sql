SELECT count(*) FROM records
WHERE tenant = ?1 AND space = ?2 AND key >= ?3 AND key < ?4 AND bytes IS NOT NULL
