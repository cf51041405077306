INSERT OR IGNORE INTO kind_blocks (kind, block) VALUES (?1, ?2)
