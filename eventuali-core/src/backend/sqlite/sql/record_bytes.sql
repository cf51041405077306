SELECT bytes FROM records WHERE tenant = ?1 AND space = ?2 AND key = ?3
