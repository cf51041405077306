SELECT count(*) FROM record_index
WHERE tenant = ?1 AND space = ?2 AND name = ?3 AND (rank, value) >= (?4, ?5) AND (rank, value) <= (?6, ?7)
