UPDATE id_runs SET position = ?1 WHERE first_id = x'ffffffffffffffffffffffffffffffffff'
