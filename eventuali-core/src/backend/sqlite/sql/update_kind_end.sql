UPDATE kind_blocks SET prior = ?2 WHERE kind = ?1 AND block = 9223372036854775807
