CREATE VIRTUAL TABLE record_words USING fts5(words, content='', contentless_delete=1, tokenize='ascii')
