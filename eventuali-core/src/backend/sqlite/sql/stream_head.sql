-- What says where the stream ends, and its last run.
SELECT first_version, position, count FROM stream_runs WHERE stream = ?1 ORDER BY first_version DESC LIMIT 2
