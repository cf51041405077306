SELECT first_id, position, count, records FROM id_runs WHERE first_id <= ?1 ORDER BY first_id DESC LIMIT 1
