SELECT block << 6, (block << 6) + 63 FROM kind_blocks
WHERE kind = ?1 AND block >= (?2 + 1) >> 6 AND block <= ?3 >> 6 ORDER BY block LIMIT ?4
