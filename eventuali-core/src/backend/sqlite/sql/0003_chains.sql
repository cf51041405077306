-- What tells that an index has lost an entry stands on the pages that each commit changes anyway, and no
-- longer in a table of its own, ends, which was one or two pages more.

-- Where a stream ends: behind its last run, in position.
INSERT INTO stream_runs (stream, first_version, position, count)
SELECT stream, 9223372036854775807, version, 0 FROM ends WHERE stream > 0;

-- Where the log ends: behind the last run of ids.
INSERT INTO id_runs (first_id, position, count, records)
SELECT x'ffffffffffffffffffffffffffffffffff', version, 0, 0 FROM ends WHERE stream = 0;

DROP TABLE ends;

-- An entry of kind_blocks names the one of its kind before it, and kind_ends the last one.
ALTER TABLE kind_blocks ADD COLUMN prior INTEGER NOT NULL DEFAULT -1;

UPDATE kind_blocks SET prior = coalesce(
    (SELECT max(b.block) FROM kind_blocks AS b WHERE b.kind = kind_blocks.kind AND b.block < kind_blocks.block), -1
);

CREATE TABLE kind_ends (
    kind INTEGER PRIMARY KEY,
    block INTEGER NOT NULL
);

INSERT INTO kind_ends (kind, block) SELECT kind, max(block) FROM kind_blocks GROUP BY kind;
