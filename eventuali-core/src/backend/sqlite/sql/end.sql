SELECT version FROM ends WHERE stream = ?1
