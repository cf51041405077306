DELETE FROM record_words WHERE rowid = ?1
