-- What tells that an index has lost an entry stands on the pages that each commit changes anyway, and no
-- longer in a table of its own, ends, which was one or two pages more.

-- Where a stream ends: behind its last run, in position.
INSERT INTO stream_runs (stream, first_version, position, count)
SELECT stream, 9223372036854775807, version, 0 FROM ends WHERE stream > 0;

-- Where the log ends: behind the last run of ids.
INSERT INTO id_runs (first_id, position, count, records)
SELECT x'ffffffffffffffffffffffffffffffffff', version, 0, 0 FROM ends WHERE stream = 0;

DROP TABLE ends;

-- An entry of kind_blocks names the one of its kind before it; one behind the last block, which each kind has, names
-- the last.
ALTER TABLE kind_blocks ADD COLUMN prior INTEGER NOT NULL DEFAULT -1;

UPDATE kind_blocks SET prior = coalesce(
    (SELECT max(b.block) FROM kind_blocks AS b WHERE b.kind = kind_blocks.kind AND b.block < kind_blocks.block), -1
);

INSERT INTO kind_blocks (kind, block, prior)
SELECT id, 9223372036854775807, coalesce((SELECT max(b.block) FROM kind_blocks AS b WHERE b.kind = kinds.id), -1)
FROM kinds;

-- Likewise tags, but for their ends, which have a table of their own: nothing else says that a tag is there, and what
-- stands on one page can get lost together.
ALTER TABLE tags ADD COLUMN prior INTEGER NOT NULL DEFAULT -1;

UPDATE tags SET prior = coalesce(
    (SELECT max(t.position) FROM tags AS t
        WHERE t.tenant = tags.tenant AND t.tag = tags.tag AND t.position < tags.position), -1
);

CREATE TABLE tag_ends (
    tenant TEXT NOT NULL,
    tag TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (tenant, tag)
) WITHOUT ROWID;

INSERT INTO tag_ends (tenant, tag, position) SELECT tenant, tag, max(position) FROM tags GROUP BY tenant, tag;

-- To move the end of a tag is to write the entry: one statement a tag.
CREATE TRIGGER tag_begins AFTER INSERT ON tag_ends
BEGIN INSERT INTO tags (tenant, tag, position) VALUES (new.tenant, new.tag, new.position); END;

CREATE TRIGGER tag_goes_on AFTER UPDATE ON tag_ends
BEGIN INSERT INTO tags (tenant, tag, position, prior) VALUES (new.tenant, new.tag, new.position, old.position); END;

-- From here on the upper half of event_log.checksum is over stream, kind and metadata, for whoever passes rows by them;
-- 0 in rows of before, which are read whole.
