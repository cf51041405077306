INSERT OR IGNORE INTO kind_blocks (kind, block, prior) VALUES (?1, 9223372036854775807, -1)
