-- Format 1. Numbered files are only ever added; what a released one says never changes.

CREATE TABLE categories (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    aggregate_type TEXT NOT NULL,
    UNIQUE (tenant, aggregate_type)
);

CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    category INTEGER NOT NULL REFERENCES categories (id),
    aggregate_id TEXT NOT NULL,
    UNIQUE (category, aggregate_id)
);

CREATE TABLE kinds (
    id INTEGER PRIMARY KEY,
    event_type TEXT NOT NULL,
    event_version INTEGER NOT NULL,
    codec TEXT NOT NULL,
    UNIQUE (event_type, event_version, codec)
);

-- Times are microseconds since 1970 UTC; checksum is the CRC32C of EventHead::checksum.
CREATE TABLE event_log (
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES streams (id),
    version INTEGER NOT NULL,
    kind INTEGER NOT NULL REFERENCES kinds (id),
    event_id BLOB NOT NULL,
    timestamp INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    metadata TEXT,
    payload BLOB NOT NULL
);

CREATE TRIGGER event_log_keeps BEFORE DELETE ON event_log
BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;

CREATE TRIGGER event_log_stays BEFORE UPDATE ON event_log
BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;

-- The indexes hold runs, not events: a commit of 1,000 events to one stream is one entry here.
-- Versions first_version … first_version + count - 1 lie at positions position … position + count - 1.
CREATE TABLE stream_runs (
    stream INTEGER NOT NULL,
    first_version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (stream, first_version)
) WITHOUT ROWID;

-- Ids first_id, first_id + 1 … as 128-bit numbers. records is Commit::records_digest of the commit.
CREATE TABLE id_runs (
    first_id BLOB PRIMARY KEY,
    position INTEGER NOT NULL,
    count INTEGER NOT NULL,
    records INTEGER NOT NULL
) WITHOUT ROWID;

-- Which kinds of event stand among the 64 positions of a block (position >> 6).
CREATE TABLE kind_blocks (
    kind INTEGER NOT NULL,
    block INTEGER NOT NULL,
    PRIMARY KEY (kind, block)
) WITHOUT ROWID;

CREATE TABLE tags (
    tenant TEXT NOT NULL,
    tag TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (tenant, tag, position)
) WITHOUT ROWID;

-- bytes is NULL for a record that was deleted: its version goes on.
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    space TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    commit_id BLOB NOT NULL,
    due INTEGER,
    bytes BLOB,
    UNIQUE (tenant, space, key)
);

CREATE INDEX records_due ON records (tenant, space, due, key) WHERE due IS NOT NULL;

CREATE TABLE record_index (
    tenant TEXT NOT NULL,
    space TEXT NOT NULL,
    name TEXT NOT NULL,
    rank INTEGER NOT NULL,
    value NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (tenant, space, name, rank, value, key)
) WITHOUT ROWID;

CREATE INDEX record_index_key ON record_index (tenant, space, key);

-- For people who query by hand.
CREATE VIEW events AS
SELECT
    e.position,
    lower(
        substr(hex(e.event_id), 1, 8) || '-' || substr(hex(e.event_id), 9, 4) || '-'
        || substr(hex(e.event_id), 13, 4) || '-' || substr(hex(e.event_id), 17, 4) || '-'
        || substr(hex(e.event_id), 21, 12)
    ) AS id,
    c.tenant,
    s.aggregate_id,
    c.aggregate_type,
    k.event_type,
    k.event_version,
    e.version AS aggregate_version,
    CASE WHEN k.codec = 'json' THEN CAST(e.payload AS TEXT) ELSE e.payload END AS event_data,
    k.codec AS event_data_type,
    e.metadata,
    strftime('%Y-%m-%dT%H:%M:%S', (e.timestamp - ((e.timestamp % 1000000 + 1000000) % 1000000)) / 1000000, 'unixepoch')
    || printf('.%06dZ', (e.timestamp % 1000000 + 1000000) % 1000000) AS timestamp,
    strftime('%Y-%m-%dT%H:%M:%S', e.recorded_at / 1000000, 'unixepoch')
    || printf('.%06dZ', e.recorded_at % 1000000) AS recorded_at
FROM event_log AS e
INNER JOIN streams AS s ON s.id = e.stream
INNER JOIN categories AS c ON c.id = s.category
INNER JOIN kinds AS k ON k.id = e.kind;
