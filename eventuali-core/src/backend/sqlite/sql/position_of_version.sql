SELECT position + ?2 - first_version FROM stream_runs
WHERE stream = ?1 AND first_version <= ?2 AND first_version + count > ?2
ORDER BY first_version DESC LIMIT 1
