SELECT position, position + count - 1 FROM stream_runs
WHERE stream = ?1 AND position + count - 1 > ?2 AND position <= ?3 ORDER BY first_version DESC LIMIT ?4
