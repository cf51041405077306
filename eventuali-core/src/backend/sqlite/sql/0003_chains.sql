-- An entry of kind_blocks names the one of its kind before it, and ends, in the row of stream -kind, the
-- last one: a damaged page can hide none of them.

ALTER TABLE kind_blocks ADD COLUMN prior INTEGER NOT NULL DEFAULT -1;

UPDATE kind_blocks SET prior = coalesce(
    (SELECT max(b.block) FROM kind_blocks AS b WHERE b.kind = kind_blocks.kind AND b.block < kind_blocks.block), -1
);

INSERT INTO ends (stream, version) SELECT -kind, max(block) FROM kind_blocks GROUP BY kind;
