INSERT OR IGNORE INTO record_index (tenant, space, name, rank, value, key) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
