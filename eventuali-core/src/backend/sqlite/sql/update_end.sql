UPDATE ends SET version = ?2 WHERE stream = ?1
