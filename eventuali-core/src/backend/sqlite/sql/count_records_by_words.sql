SELECT count(*) FROM record_words AS w
INNER JOIN records AS r ON r.id = w.rowid
WHERE w.record_words MATCH ?3 AND r.tenant = ?1 AND r.space = ?2
