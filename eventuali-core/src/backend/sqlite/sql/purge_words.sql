DELETE FROM record_words
WHERE rowid IN (SELECT id FROM records WHERE tenant = ?1 AND space = ?2 AND key <= ?3 AND words IS NOT NULL)
