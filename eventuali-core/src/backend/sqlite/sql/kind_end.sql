SELECT block FROM kind_ends WHERE kind = ?1
