-- An entry of kind_blocks names the one of its kind before it, and ends, in the row of stream -kind, the
-- last one: a damaged page can hide none of them.

ALTER TABLE kind_blocks ADD COLUMN prior INTEGER NOT NULL DEFAULT -1;

UPDATE kind_blocks SET prior = coalesce(
    (SELECT max(b.block) FROM kind_blocks AS b WHERE b.kind = kind_blocks.kind AND b.block < kind_blocks.block), -1
);

INSERT INTO ends (stream, version) SELECT -kind, max(block) FROM kind_blocks GROUP BY kind;

-- The end of the log stands behind the last run of ids, on a page that each commit changes anyway: in ends
-- it was one page more.
INSERT INTO id_runs (first_id, position, count, records)
SELECT x'ffffffffffffffffffffffffffffffffff', version, 0, 0 FROM ends WHERE stream = 0;

DELETE FROM ends WHERE stream = 0;
