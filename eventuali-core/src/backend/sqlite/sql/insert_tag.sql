INSERT OR IGNORE INTO tags (tenant, tag, position) VALUES (?1, ?2, ?3)
