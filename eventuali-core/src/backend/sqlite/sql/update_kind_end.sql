UPDATE kind_ends SET block = ?2 WHERE kind = ?1
