INSERT INTO kind_ends (kind, block) VALUES (?1, ?2)
