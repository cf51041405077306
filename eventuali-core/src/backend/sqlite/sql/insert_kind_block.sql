INSERT INTO kind_blocks (kind, block, prior) VALUES (?1, ?2, ?3)
