-- Format 1. Numbered files are only ever added; what a released one says never changes.

-- version and last_position are those of the last event. A writer locks the row before it looks,
-- so that the row decides who extends a stream. A stream at version 0 is a name and no more.
CREATE TABLE {streams} (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version BIGINT NOT NULL,
    last_position BIGINT NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    aggregate_type TEXT COLLATE "C" NOT NULL,
    aggregate_id TEXT COLLATE "C" NOT NULL,
    UNIQUE (tenant, aggregate_type, aggregate_id)
) WITH (fillfactor = 80);

CREATE TABLE {kinds} (
    id INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_type TEXT COLLATE "C" NOT NULL,
    event_version BIGINT NOT NULL,
    codec TEXT COLLATE "C" NOT NULL,
    UNIQUE (event_type, event_version, codec)
);

-- Times are microseconds since 1970 UTC. checksum is the CRC32C of EventHead::checksum, taken
-- before position, version and recorded_at are known, sealed with these three. What a row refers
-- to is never deleted, and a foreign key would be looked up for each event.
CREATE TABLE {log} (
    position BIGINT PRIMARY KEY,
    stream BIGINT NOT NULL,
    version BIGINT NOT NULL,
    timestamp BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    checksum BIGINT NOT NULL,
    event_id UUID NOT NULL,
    kind INTEGER NOT NULL,
    metadata TEXT,
    payload BYTEA NOT NULL
);

-- The indexes hold runs, not events: a commit of 1,000 events to one stream is one entry here.
-- Events with ids first_id, first_id + 1 … last_id as 128-bit numbers, all of one stream, of
-- versions first_version … and at positions position …; first_version is 0 for events without a
-- stream. records is Commit::records_digest of the commit.
CREATE TABLE {runs} (
    first_id UUID PRIMARY KEY,
    last_id UUID NOT NULL,
    stream BIGINT NOT NULL,
    first_version BIGINT NOT NULL,
    position BIGINT NOT NULL,
    records BIGINT NOT NULL,
    count INTEGER NOT NULL
);

CREATE UNIQUE INDEX ON {runs} (stream, first_version) WHERE first_version > 0;

-- Events of a kind stand at first, at last, and somewhere between.
CREATE TABLE {kind_spans} (
    kind INTEGER NOT NULL,
    first BIGINT NOT NULL,
    last BIGINT NOT NULL,
    PRIMARY KEY (kind, first)
);

CREATE TABLE {tags} (
    tenant TEXT COLLATE "C" NOT NULL,
    tag TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (tenant, tag, position)
);

-- bytes is NULL for a record that was deleted: its version goes on. A record at version 0 was
-- claimed by a commit that did not hold.
CREATE TABLE {records} (
    tenant TEXT COLLATE "C" NOT NULL,
    space TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    commit_id UUID NOT NULL,
    due BIGINT,
    bytes BYTEA,
    PRIMARY KEY (tenant, space, key)
) WITH (fillfactor = 80);

CREATE INDEX ON {records} (tenant, space, due, key) WHERE due IS NOT NULL;

-- A value is an integer, a real or a text (rank 0, 1, 2); the other two columns are empty.
CREATE TABLE {record_index} (
    tenant TEXT COLLATE "C" NOT NULL,
    space TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    rank SMALLINT NOT NULL,
    whole BIGINT NOT NULL,
    fraction DOUBLE PRECISION NOT NULL,
    words BYTEA NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, space, name, rank, whole, fraction, words, key)
);

CREATE INDEX ON {record_index} (tenant, space, key);

CREATE VIEW {documents} AS
SELECT r.tenant, r.space, r.key, r.version, r.commit_id, r.due, r.bytes, e.names, e.ranks, e.wholes, e.fractions, e.words
FROM {records} AS r
CROSS JOIN LATERAL (
    SELECT
        array_agg(i.name ORDER BY i.name, i.rank, i.whole, i.fraction, i.words) AS names,
        array_agg(i.rank ORDER BY i.name, i.rank, i.whole, i.fraction, i.words) AS ranks,
        array_agg(i.whole ORDER BY i.name, i.rank, i.whole, i.fraction, i.words) AS wholes,
        array_agg(i.fraction ORDER BY i.name, i.rank, i.whole, i.fraction, i.words) AS fractions,
        array_agg(i.words ORDER BY i.name, i.rank, i.whole, i.fraction, i.words) AS words
    FROM {record_index} AS i
    WHERE i.tenant = r.tenant AND i.space = r.space AND i.key = r.key
) AS e
WHERE r.bytes IS NOT NULL;

-- The last position that was drawn, and the latest time at which one was.
CREATE SEQUENCE {position} CACHE 1;
CREATE SEQUENCE {clock} CACHE 1;

CREATE FUNCTION {refuse}() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are never changed and never deleted' USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER stays BEFORE UPDATE OR DELETE OR TRUNCATE ON {log}
FOR EACH STATEMENT EXECUTE FUNCTION {refuse}();

-- For people who query by hand.
CREATE FUNCTION {readable}(payload BYTEA, codec TEXT) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF codec = 'json' THEN
        RETURN convert_from(payload, 'UTF8');
    END IF;
    RETURN '\x' || encode(payload, 'hex');
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
    RETURN '\x' || encode(payload, 'hex');
END $$;

-- Beyond what a timestamp can say, NULL.
CREATE FUNCTION {moment}(microseconds BIGINT) RETURNS TIMESTAMPTZ LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN microseconds BETWEEN -210000000000000000 AND 9000000000000000000
        THEN TIMESTAMPTZ 'epoch' + (microseconds / 1000000) * INTERVAL '1 second'
            + (microseconds % 1000000) * INTERVAL '1 microsecond'
    END
$$;

CREATE VIEW {events} AS
SELECT
    e.position,
    e.event_id AS id,
    s.tenant,
    s.aggregate_id,
    s.aggregate_type,
    k.event_type,
    k.event_version,
    e.version AS aggregate_version,
    {readable}(e.payload, k.codec) AS event_data,
    k.codec AS event_data_type,
    e.metadata,
    {moment}(e.timestamp) AS timestamp,
    {moment}(e.recorded_at) AS recorded_at
FROM {log} AS e
INNER JOIN {streams} AS s ON s.id = e.stream
INNER JOIN {kinds} AS k ON k.id = e.kind;

-- The first locks of a writer: the gate and the ids.
--
-- The gate is shared by writers and closed by those whose conditions must see everything. A family
-- is a hash of the upper bits of ids: two commits that share an id share a family, and the later
-- one looks for its ids when the earlier one is done. Families come sorted.
--
-- Here and below, an IF calls what is called for its effect: an expression costs a tenth of a
-- statement such as PERFORM.
CREATE FUNCTION {pass}(alone BOOLEAN, families BIGINT[]) RETURNS VOID
LANGUAGE plpgsql AS $$
DECLARE
    gate CONSTANT INTEGER := '{log}'::regclass::oid::bigint::bit(32)::integer;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'a writer needs READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
    END IF;
    IF alone THEN
        PERFORM pg_advisory_xact_lock(gate, 0);
    ELSIF pg_advisory_xact_lock_shared(gate, 0) IS NULL THEN
    END IF;
    --<families>
    FOR place IN 1..cardinality(families) LOOP
        IF pg_advisory_xact_lock(families[place]) IS NULL THEN
        END IF;
    END LOOP;
    --</families>
END $$;

-- The locks of a writer, in the order in which every writer takes them: the gate, the ids, the
-- streams that are new, the streams. Answers with number and version of each stream, as given;
-- names come sorted.
CREATE FUNCTION {enter}(alone BOOLEAN, families BIGINT[], tenants TEXT[], types TEXT[], ids TEXT[])
RETURNS TABLE (number BIGINT, head BIGINT)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    IF {pass}(alone, families) IS NULL THEN
    END IF;
    INSERT INTO {streams} (version, last_position, tenant, aggregate_type, aggregate_id)
    SELECT 0, 0, n.tenant, n.type, n.id
    FROM unnest(tenants, types, ids) WITH ORDINALITY AS n (tenant, type, id, place)
    WHERE NOT EXISTS (
        SELECT FROM {streams} AS s
        WHERE s.tenant = n.tenant AND s.aggregate_type = n.type AND s.aggregate_id = n.id
    )
    ORDER BY n.place
    ON CONFLICT (tenant, aggregate_type, aggregate_id) DO NOTHING;
    RETURN QUERY
    SELECT s.id, s.version
    FROM unnest(tenants, types, ids) WITH ORDINALITY AS n (tenant, type, id, place)
    INNER JOIN {streams} AS s
        ON s.tenant = n.tenant AND s.aggregate_type = n.type AND s.aggregate_id = n.id
    ORDER BY n.place
    FOR NO KEY UPDATE OF s;
END $$;

-- Draws positions that follow one another, and the time at which they were drawn, which never
-- falls from one position to the next.
--
-- The lock is taken in a block that is rolled back, which releases it at once and whatever happens,
-- while a sequence keeps what was set. setval moves in one step: nobody who reads the sequence
-- finds it within the positions of one commit. A copy of the database may have come without its
-- sequences: they go on from the last event.
CREATE FUNCTION {draw}(wanted BIGINT, OUT first_position BIGINT, OUT drawn_at BIGINT)
LANGUAGE plpgsql AS $$
DECLARE
    gate CONSTANT INTEGER := '{log}'::regclass::oid::bigint::bit(32)::integer;
BEGIN
    IF pg_advisory_xact_lock(gate, 1) IS NULL THEN
    END IF;
    SELECT e.position, e.recorded_at INTO first_position, drawn_at
    FROM {log} AS e ORDER BY e.position DESC LIMIT 1;
    first_position := coalesce(greatest(first_position, pg_sequence_last_value('{position}')), 0) + 1;
    drawn_at := greatest(
        drawn_at, pg_sequence_last_value('{clock}'),
        (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
    );
    first_position := setval('{position}', first_position + wanted - 1) - wanted + 1;
    drawn_at := setval('{clock}', drawn_at);
    RAISE SQLSTATE 'EVDRW';
EXCEPTION WHEN SQLSTATE 'EVDRW' THEN
    RETURN;
END $$;

-- Writes events, all of them or none. Answers with the first position, the time, the versions that
-- were found, and whether anybody listens; without a position where something was not as expected
-- and nothing is written: a stream at another version (-1 is any, -2 is above 0), or an id that is
-- stored. A single event of a stream that is there takes the same steps by simpler statements.
--
-- s_: the streams, of which those without a name (loose) come last; e_: the events in the order of
-- their positions, each with its stream and its number among the new events of that stream, 0
-- without a stream; r_, k_, t_: runs, kind spans and tags, with places of events counted from 1.
CREATE FUNCTION {append}(
    families BIGINT[],
    s_tenant TEXT[], s_type TEXT[], s_id TEXT[], s_expected BIGINT[], s_added INTEGER[], s_last INTEGER[],
    loose BIGINT[],
    e_stream INTEGER[], e_number INTEGER[], e_id UUID[], e_kind INTEGER[], e_timestamp BIGINT[],
    e_crc BIGINT[], e_metadata TEXT[], e_payload BYTEA[],
    r_first UUID[], r_last UUID[], r_place INTEGER[], r_count INTEGER[], r_records BIGINT[],
    k_kind INTEGER[], k_first INTEGER[], k_last INTEGER[],
    t_tenant TEXT[], t_tag TEXT[], t_place INTEGER[],
    OUT first_position BIGINT, OUT written_at BIGINT, OUT heads BIGINT[], OUT heard BOOLEAN
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    bounds CONSTANT INTEGER := '{position}'::regclass::oid::bigint::bit(32)::integer;
    gate CONSTANT INTEGER := '{log}'::regclass::oid::bigint::bit(32)::integer;
    single BOOLEAN := cardinality(s_id) = 1 AND cardinality(e_id) = 1 AND e_number[1] = 1;
    number BIGINT;
    head BIGINT;
    last_known UUID;
    numbers BIGINT[];
    drawn RECORD;
    before BIGINT;
BEGIN
    IF single THEN
        IF {pass}(false, families) IS NULL THEN
        END IF;
        SELECT s.id, s.version INTO number, head FROM {streams} AS s
        WHERE s.tenant = s_tenant[1] AND s.aggregate_type = s_type[1] AND s.aggregate_id = s_id[1]
        FOR NO KEY UPDATE;
        single := number IS NOT NULL;
    END IF;
    IF single THEN
        heads := ARRAY[head];
        IF (CASE s_expected[1] WHEN -1 THEN false WHEN -2 THEN head = 0 ELSE head <> s_expected[1] END) THEN
            RETURN;
        END IF;
        SELECT k.last_id INTO last_known FROM {runs} AS k
        WHERE k.first_id <= r_last[1] ORDER BY k.first_id DESC LIMIT 1;
        IF last_known >= r_first[1] THEN
            RETURN;
        END IF;
    ELSE
        SELECT array_agg(s.number ORDER BY s.place), array_agg(s.head ORDER BY s.place)
        INTO numbers, heads
        FROM {enter}(false, families, s_tenant, s_type, s_id) WITH ORDINALITY AS s (number, head, place);
        IF EXISTS (
            SELECT FROM unnest(heads, s_expected) AS s (head, expected)
            WHERE CASE s.expected WHEN -1 THEN false WHEN -2 THEN s.head = 0 ELSE s.head <> s.expected END
        ) THEN
            RETURN;
        END IF;
        -- Runs never overlap, so the last one that begins within or before this one tells.
        IF EXISTS (
            SELECT FROM unnest(r_first, r_last) AS r (first_id, last_id)
            CROSS JOIN LATERAL (
                SELECT k.last_id FROM {runs} AS k
                WHERE k.first_id <= r.last_id ORDER BY k.first_id DESC LIMIT 1
            ) AS known
            WHERE known.last_id >= r.first_id
        ) THEN
            RETURN;
        END IF;
    END IF;
    --<bound>
    IF pg_advisory_xact_lock_shared(
        bounds, coalesce(pg_sequence_last_value('{position}'), 0)::bit(32)::integer
    ) IS NULL THEN
    END IF;
    --</bound>
    drawn := {draw}(cardinality(e_id));
    --<drawn>
    first_position := drawn.first_position;
    written_at := drawn.drawn_at;
    before := first_position - 1;
    IF single THEN
        INSERT INTO {log} (
            position, stream, version, timestamp, recorded_at, checksum, event_id, kind, metadata, payload
        )
        VALUES (
            first_position, number, head + 1, e_timestamp[1], written_at,
            (e_crc[1] << 31) # (
                (first_position % 2147483647 * 3 + (head + 1) % 2147483647 * 5 + written_at % 2147483647 * 7)
                % 2147483647
            ),
            e_id[1], e_kind[1], e_metadata[1], e_payload[1]
        );
        UPDATE {streams} AS s SET version = head + 1, last_position = first_position WHERE s.id = number;
        INSERT INTO {runs} (first_id, last_id, stream, first_version, position, records, count)
        VALUES (r_first[1], r_last[1], number, head + 1, first_position, r_records[1], 1);
        INSERT INTO {kind_spans} (kind, first, last) VALUES (k_kind[1], first_position, first_position);
    ELSE
        numbers := numbers || loose;
        INSERT INTO {log} (
            position, stream, version, timestamp, recorded_at, checksum, event_id, kind, metadata, payload
        )
        SELECT
            p.position, numbers[e.stream], v.version, e.timestamp, written_at,
            (e.crc << 31) # (
                (p.position % 2147483647 * 3 + v.version % 2147483647 * 5 + written_at % 2147483647 * 7) % 2147483647
            ),
            e.id, e.kind, e.metadata, e.payload
        FROM
            unnest(e_stream, e_number, e_id, e_kind, e_timestamp, e_crc, e_metadata, e_payload)
            WITH ORDINALITY AS e (stream, number, id, kind, timestamp, crc, metadata, payload, place)
        CROSS JOIN LATERAL (SELECT before + e.place) AS p (position)
        CROSS JOIN LATERAL (
            SELECT CASE e.number WHEN 0 THEN 0 ELSE heads[e.stream] + e.number END
        ) AS v (version);
        UPDATE {streams} AS s
        SET version = s.version + n.added, last_position = before + n.last
        FROM unnest(numbers[1:cardinality(s_added)], s_added, s_last) AS n (number, added, last)
        WHERE s.id = n.number AND n.added > 0;
        INSERT INTO {runs} (first_id, last_id, stream, first_version, position, records, count)
        SELECT
            r.first_id, r.last_id, numbers[e_stream[r.place]],
            CASE e_number[r.place] WHEN 0 THEN 0 ELSE heads[e_stream[r.place]] + e_number[r.place] END,
            before + r.place, r.records, r.count
        FROM unnest(r_first, r_last, r_place, r_count, r_records) AS r (first_id, last_id, place, count, records);
        INSERT INTO {kind_spans} (kind, first, last)
        SELECT k.kind, before + k.first, before + k.last
        FROM unnest(k_kind, k_first, k_last) AS k (kind, first, last);
    END IF;
    IF cardinality(t_tag) > 0 THEN
        INSERT INTO {tags} (tenant, tag, position)
        SELECT t.tenant, t.tag, before + t.place
        FROM unnest(t_tenant, t_tag, t_place) AS t (tenant, tag, place);
    END IF;
    -- Who listens holds this lock, shared.
    heard := NOT pg_try_advisory_lock(gate, 2);
    IF NOT heard AND pg_advisory_unlock(gate, 2) THEN
    END IF;
END $$;

-- The locks of a writer that judges its commits before it writes them, and what it judges by: the
-- version of each stream; version, commit and presence of each record; for each run of ids, whether
-- one is stored. Records are locked last, after one that is missing was claimed.
CREATE FUNCTION {look}(
    alone BOOLEAN, families BIGINT[], s_tenant TEXT[], s_type TEXT[], s_id TEXT[],
    k_tenant TEXT[], k_space TEXT[], k_key TEXT[], r_first UUID[], r_last UUID[],
    OUT heads BIGINT[], OUT versions BIGINT[], OUT commits UUID[], OUT present BOOLEAN[], OUT known BOOLEAN[]
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    SELECT array_agg(s.head ORDER BY s.place) INTO heads
    FROM {enter}(alone, families, s_tenant, s_type, s_id) WITH ORDINALITY AS s (number, head, place);
    IF cardinality(k_key) > 0 THEN
        INSERT INTO {records} (tenant, space, key, version, commit_id)
        SELECT n.tenant, n.space, n.key, 0, '00000000-0000-0000-0000-000000000000'
        FROM unnest(k_tenant, k_space, k_key) WITH ORDINALITY AS n (tenant, space, key, place)
        WHERE NOT EXISTS (
            SELECT FROM {records} AS r
            WHERE r.tenant = n.tenant AND r.space = n.space AND r.key = n.key
        )
        ORDER BY n.place
        ON CONFLICT DO NOTHING;
        SELECT
            array_agg(l.version ORDER BY l.place), array_agg(l.commit_id ORDER BY l.place),
            array_agg(l.present ORDER BY l.place)
        INTO versions, commits, present
        FROM (
            SELECT r.version, r.commit_id, r.bytes IS NOT NULL AS present, n.place
            FROM unnest(k_tenant, k_space, k_key) WITH ORDINALITY AS n (tenant, space, key, place)
            INNER JOIN {records} AS r
                ON r.tenant = n.tenant AND r.space = n.space AND r.key = n.key
            ORDER BY n.place
            FOR NO KEY UPDATE OF r
        ) AS l;
    END IF;
    IF cardinality(r_first) > 0 THEN
        SELECT array_agg(coalesce(k.last_id >= r.first_id, false) ORDER BY r.place) INTO known
        FROM unnest(r_first, r_last) WITH ORDINALITY AS r (first_id, last_id, place)
        LEFT JOIN LATERAL (
            SELECT s.last_id FROM {runs} AS s
            WHERE s.first_id <= r.last_id ORDER BY s.first_id DESC LIMIT 1
        ) AS k ON true;
    END IF;
END $$;

-- Writes records that were locked, and their entries in the index.
CREATE FUNCTION {keep}(
    k_tenant TEXT[], k_space TEXT[], k_key TEXT[],
    k_version BIGINT[], k_commit UUID[], k_due BIGINT[], k_bytes BYTEA[],
    i_tenant TEXT[], i_space TEXT[], i_key TEXT[], i_name TEXT[],
    i_rank SMALLINT[], i_whole BIGINT[], i_fraction DOUBLE PRECISION[], i_words BYTEA[]
)
RETURNS VOID
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE {records} AS r
    SET version = n.version, commit_id = n.commit_id, due = n.due, bytes = n.bytes
    FROM unnest(k_tenant, k_space, k_key, k_version, k_commit, k_due, k_bytes)
        AS n (tenant, space, key, version, commit_id, due, bytes)
    WHERE r.tenant = n.tenant AND r.space = n.space AND r.key = n.key;
    DELETE FROM {record_index} AS i
    USING unnest(k_tenant, k_space, k_key) AS n (tenant, space, key)
    WHERE i.tenant = n.tenant AND i.space = n.space AND i.key = n.key;
    INSERT INTO {record_index} (tenant, space, key, name, rank, whole, fraction, words)
    SELECT * FROM unnest(i_tenant, i_space, i_key, i_name, i_rank, i_whole, i_fraction, i_words);
END $$;

-- The position up to which everything is settled: below it nothing will appear any more.
--
-- A writer publishes the last position that was drawn before it draws its own, as a lock that ends
-- when its events can be seen. So no position above the lowest open bound counts, nor any above
-- the last that is seen, which is looked at first: whoever draws later draws a higher one; but for
-- those that follow such a bound without a gap. Whoever reads up to the horizon does so in a later
-- statement, which sees all who have ended meanwhile.
-- A key holds the low 32 bits of a bound, which lies near the last position, on either side.
CREATE FUNCTION {horizon}() RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    last BIGINT;
    bound BIGINT;
    found BIGINT;
BEGIN
    SELECT coalesce(max(e.position), 0) INTO last FROM {log} AS e;
    --<lowest>
    SELECT min(last + (((l.objid::bigint - (last & 4294967295)) + 6442450944) % 4294967296 - 2147483648))
    INTO bound
    FROM pg_locks AS l
    WHERE
        l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted
        AND l.classid = '{position}'::regclass
        AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database());
    --</lowest>
    --<looked>
    -- Events that follow a settled position without a gap are settled: nothing can appear between.
    FOR turn IN 1..64 LOOP
        EXIT WHEN coalesce(bound, last) >= last;
        SELECT coalesce(max(f.position), bound), count(*) INTO bound, found
        FROM (
            SELECT e.position, row_number() OVER (ORDER BY e.position) AS place
            FROM {log} AS e WHERE e.position > bound AND e.position <= last ORDER BY e.position LIMIT 1024
        ) AS f
        WHERE f.position = bound + f.place;
        EXIT WHEN found < 1024;
    END LOOP;
    RETURN greatest(least(last, bound), 0);
END $$;

-- The end of the log, for whoever stands near to it: the first events above a position, without what
-- is larger than so many bytes, and how far everything is settled; one row where there are no events.
--
-- Where that position is settled, so are events that follow it without a gap: a position is drawn
-- once, and nothing can appear between them. The horizon, which costs more than a few events, is
-- looked for where the next position is missing; it is NULL otherwise.
CREATE FUNCTION {tail}(above BIGINT, settled BOOLEAN, most INTEGER, bytes BIGINT)
RETURNS TABLE (
    horizon BIGINT, "position" BIGINT, stream BIGINT, version BIGINT, kind INTEGER, event_id UUID,
    "timestamp" BIGINT, recorded_at BIGINT, checksum BIGINT, metadata TEXT, payload BYTEA
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    found BIGINT;
BEGIN
    IF NOT (settled AND EXISTS (SELECT FROM {log} AS l WHERE l.position = above + 1)) THEN
        found := {horizon}();
    END IF;
    RETURN QUERY
    SELECT
        found, e.position, e.stream, e.version, e.kind, e.event_id, e.timestamp, e.recorded_at,
        e.checksum, e.metadata, e.payload
    FROM (SELECT) AS one
    LEFT JOIN (
        SELECT
            l.position, l.stream, l.version, l.kind, l.event_id, l.timestamp, l.recorded_at, l.checksum,
            CASE WHEN octet_length(l.metadata) <= bytes THEN l.metadata END AS metadata,
            CASE WHEN octet_length(l.payload) + coalesce(octet_length(l.metadata), 0) <= bytes THEN l.payload END
            AS payload
        FROM {log} AS l
        WHERE l.position BETWEEN above + 1 AND coalesce(found, above + most)
        ORDER BY l.position LIMIT most
    ) AS e ON true
    ORDER BY e.position;
END $$;

-- The version of a stream, which stands at version head, at a position: that of its last event there
-- or below. Positions rise with versions, so that a binary search finds it. It begins at the end, in
-- growing steps: most who ask have seen all but the last few events.
CREATE FUNCTION {version_at}(number BIGINT, head BIGINT, place BIGINT) RETURNS BIGINT
LANGUAGE plpgsql STABLE AS $$
DECLARE
    low BIGINT;
    middle BIGINT;
    high BIGINT := head;
    step BIGINT := 1;
    run RECORD;
BEGIN
    -- A page that follows another begins beside an event of the stream.
    SELECT e.version + place - e.position INTO low FROM {log} AS e
    WHERE e.position BETWEEN place AND place + 1 AND e.stream = number ORDER BY e.position LIMIT 1;
    IF low IS NOT NULL THEN
        RETURN low;
    END IF;
    low := 0;
    WHILE low < high LOOP
        middle := greatest((low + high + 1) / 2, high - step);
        SELECT r.first_version, r.position INTO run FROM {runs} AS r
        WHERE r.stream = number AND r.first_version > 0 AND r.first_version <= middle
        ORDER BY r.first_version DESC LIMIT 1;
        IF run.position <= place THEN
            low := middle;
        ELSE
            high := run.first_version - 1;
            step := least(step * 16, head);
        END IF;
    END LOOP;
    RETURN low;
END $$;
