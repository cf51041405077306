-- The words of records that have a text. They stand behind letters for their tenant and space, so that a search meets
-- no others. The row is that of the record; the text itself is not kept.
CREATE VIRTUAL TABLE record_words USING fts5(words, content='', contentless_delete=1, tokenize='ascii');

-- A sum over the words of its text, by which it is known whether they have changed; NULL without a text.
ALTER TABLE records ADD COLUMN words INTEGER;
