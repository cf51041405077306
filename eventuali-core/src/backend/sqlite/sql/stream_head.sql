SELECT first_version + count - 1, position + count - 1 FROM stream_runs
WHERE stream = ?1 ORDER BY first_version DESC LIMIT 1
