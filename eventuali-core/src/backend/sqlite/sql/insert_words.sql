INSERT INTO record_words (rowid, words) VALUES (?1, ?2)
