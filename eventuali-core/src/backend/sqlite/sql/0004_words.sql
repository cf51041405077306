-- A sum over the words of a record's text, by which it is known whether they have changed; NULL without a text. The words
-- themselves are in record_words, a table of FTS5, which is made with the first text: not every tool that copies a file
-- knows such tables.
ALTER TABLE records ADD COLUMN words INTEGER;
