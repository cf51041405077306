SELECT prior FROM kind_blocks WHERE kind = ?1 AND block = 9223372036854775807
