SELECT count(*) FROM records WHERE tenant = ?1 AND space = ?2 AND due <= ?3
