SET check_function_bodies = false;
CREATE SCHEMA golden_schema;
CREATE FUNCTION golden_schema.events_append(families bigint[], s_tenant text[], s_type text[], s_id text[], s_expected bigint[], s_added integer[], s_last integer[], loose bigint[], e_stream integer[], e_number integer[], e_id uuid[], e_kind integer[], e_timestamp bigint[], e_crc bigint[], e_metadata text[], e_payload bytea[], r_first uuid[], r_last uuid[], r_place integer[], r_count integer[], r_records bigint[], k_kind integer[], k_first integer[], k_last integer[], t_tenant text[], t_tag text[], t_place integer[], OUT first_position bigint, OUT written_at bigint, OUT heads bigint[], OUT heard boolean) RETURNS record
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    bounds CONSTANT INTEGER := '"golden_schema"."events_position"'::regclass::oid::bigint::bit(32)::integer;
    gate CONSTANT INTEGER := '"golden_schema"."events_log"'::regclass::oid::bigint::bit(32)::integer;
    single BOOLEAN := cardinality(s_id) = 1 AND cardinality(e_id) = 1 AND e_number[1] = 1;
    number BIGINT;
    head BIGINT;
    last_known UUID;
    numbers BIGINT[];
    drawn RECORD;
    before BIGINT;
BEGIN
    IF single THEN
        IF "golden_schema"."events_pass"(false, families) IS NULL THEN
        END IF;
        SELECT s.id, s.version INTO number, head FROM "golden_schema"."events_streams" AS s
        WHERE s.tenant = s_tenant[1] AND s.aggregate_type = s_type[1] AND s.aggregate_id = s_id[1]
        FOR NO KEY UPDATE;
        single := number IS NOT NULL;
    END IF;
    IF single THEN
        heads := ARRAY[head];
        IF (CASE s_expected[1] WHEN -1 THEN false WHEN -2 THEN head = 0 ELSE head <> s_expected[1] END) THEN
            RETURN;
        END IF;
        SELECT k.last_id INTO last_known FROM "golden_schema"."events_runs" AS k
        WHERE k.first_id <= r_last[1] ORDER BY k.first_id DESC LIMIT 1;
        IF last_known >= r_first[1] THEN
            RETURN;
        END IF;
    ELSE
        SELECT array_agg(s.number ORDER BY s.place), array_agg(s.head ORDER BY s.place)
        INTO numbers, heads
        FROM "golden_schema"."events_enter"(false, families, s_tenant, s_type, s_id) WITH ORDINALITY AS s (number, head, place);
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
                SELECT k.last_id FROM "golden_schema"."events_runs" AS k
                WHERE k.first_id <= r.last_id ORDER BY k.first_id DESC LIMIT 1
            ) AS known
            WHERE known.last_id >= r.first_id
        ) THEN
            RETURN;
        END IF;
    END IF;
    --<bound>
    IF pg_advisory_xact_lock_shared(
        bounds, coalesce(pg_sequence_last_value('"golden_schema"."events_position"'), 0)::bit(32)::integer
    ) IS NULL THEN
    END IF;
    --</bound>
    drawn := "golden_schema"."events_draw"(cardinality(e_id));
    --<drawn>
    first_position := drawn.first_position;
    written_at := drawn.drawn_at;
    before := first_position - 1;
    IF single THEN
        INSERT INTO "golden_schema"."events_log" (
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
        UPDATE "golden_schema"."events_streams" AS s SET version = head + 1, last_position = first_position WHERE s.id = number;
        INSERT INTO "golden_schema"."events_runs" (first_id, last_id, stream, first_version, position, records, count)
        VALUES (r_first[1], r_last[1], number, head + 1, first_position, r_records[1], 1);
        INSERT INTO "golden_schema"."events_kind_spans" (kind, first, last) VALUES (k_kind[1], first_position, first_position);
    ELSE
        numbers := numbers || loose;
        INSERT INTO "golden_schema"."events_log" (
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
        UPDATE "golden_schema"."events_streams" AS s
        SET version = s.version + n.added, last_position = before + n.last
        FROM unnest(numbers[1:cardinality(s_added)], s_added, s_last) AS n (number, added, last)
        WHERE s.id = n.number AND n.added > 0;
        INSERT INTO "golden_schema"."events_runs" (first_id, last_id, stream, first_version, position, records, count)
        SELECT
            r.first_id, r.last_id, numbers[e_stream[r.place]],
            CASE e_number[r.place] WHEN 0 THEN 0 ELSE heads[e_stream[r.place]] + e_number[r.place] END,
            before + r.place, r.records, r.count
        FROM unnest(r_first, r_last, r_place, r_count, r_records) AS r (first_id, last_id, place, count, records);
        INSERT INTO "golden_schema"."events_kind_spans" (kind, first, last)
        SELECT k.kind, before + k.first, before + k.last
        FROM unnest(k_kind, k_first, k_last) AS k (kind, first, last);
    END IF;
    IF cardinality(t_tag) > 0 THEN
        INSERT INTO "golden_schema"."events_tags" (tenant, tag, position)
        SELECT t.tenant, t.tag, before + t.place
        FROM unnest(t_tenant, t_tag, t_place) AS t (tenant, tag, place);
    END IF;
    -- Who listens holds this lock, shared.
    heard := NOT pg_try_advisory_lock(gate, 2);
    IF NOT heard AND pg_advisory_unlock(gate, 2) THEN
    END IF;
END $$;
CREATE FUNCTION golden_schema.events_draw(wanted bigint, OUT first_position bigint, OUT drawn_at bigint) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE
    gate CONSTANT INTEGER := '"golden_schema"."events_log"'::regclass::oid::bigint::bit(32)::integer;
BEGIN
    IF pg_advisory_xact_lock(gate, 1) IS NULL THEN
    END IF;
    SELECT e.position, e.recorded_at INTO first_position, drawn_at
    FROM "golden_schema"."events_log" AS e ORDER BY e.position DESC LIMIT 1;
    first_position := coalesce(greatest(first_position, pg_sequence_last_value('"golden_schema"."events_position"')), 0) + 1;
    drawn_at := greatest(
        drawn_at, pg_sequence_last_value('"golden_schema"."events_clock"'),
        (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
    );
    first_position := setval('"golden_schema"."events_position"', first_position + wanted - 1) - wanted + 1;
    drawn_at := setval('"golden_schema"."events_clock"', drawn_at);
    RAISE SQLSTATE 'EVDRW';
EXCEPTION WHEN SQLSTATE 'EVDRW' THEN
    RETURN;
END $$;
CREATE FUNCTION golden_schema.events_enter(alone boolean, families bigint[], tenants text[], types text[], ids text[]) RETURNS TABLE(number bigint, head bigint)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
BEGIN
    IF "golden_schema"."events_pass"(alone, families) IS NULL THEN
    END IF;
    INSERT INTO "golden_schema"."events_streams" (version, last_position, tenant, aggregate_type, aggregate_id)
    SELECT 0, 0, n.tenant, n.type, n.id
    FROM unnest(tenants, types, ids) WITH ORDINALITY AS n (tenant, type, id, place)
    WHERE NOT EXISTS (
        SELECT FROM "golden_schema"."events_streams" AS s
        WHERE s.tenant = n.tenant AND s.aggregate_type = n.type AND s.aggregate_id = n.id
    )
    ORDER BY n.place
    ON CONFLICT (tenant, aggregate_type, aggregate_id) DO NOTHING;
    RETURN QUERY
    SELECT s.id, s.version
    FROM unnest(tenants, types, ids) WITH ORDINALITY AS n (tenant, type, id, place)
    INNER JOIN "golden_schema"."events_streams" AS s
        ON s.tenant = n.tenant AND s.aggregate_type = n.type AND s.aggregate_id = n.id
    ORDER BY n.place
    FOR NO KEY UPDATE OF s;
END $$;
CREATE FUNCTION golden_schema.events_horizon() RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
    last BIGINT;
    bound BIGINT;
    found BIGINT;
BEGIN
    SELECT coalesce(max(e.position), 0) INTO last FROM "golden_schema"."events_log" AS e;
    --<lowest>
    SELECT min(last + (((l.objid::bigint - (last & 4294967295)) + 6442450944) % 4294967296 - 2147483648))
    INTO bound
    FROM pg_locks AS l
    WHERE
        l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted
        AND l.classid = '"golden_schema"."events_position"'::regclass
        AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database());
    --</lowest>
    --<looked>
    -- Events that follow a settled position without a gap are settled: nothing can appear between.
    FOR turn IN 1..64 LOOP
        EXIT WHEN coalesce(bound, last) >= last;
        SELECT coalesce(max(f.position), bound), count(*) INTO bound, found
        FROM (
            SELECT e.position, row_number() OVER (ORDER BY e.position) AS place
            FROM "golden_schema"."events_log" AS e WHERE e.position > bound AND e.position <= last ORDER BY e.position LIMIT 1024
        ) AS f
        WHERE f.position = bound + f.place;
        EXIT WHEN found < 1024;
    END LOOP;
    RETURN greatest(least(last, bound), 0);
END $$;
CREATE FUNCTION golden_schema.events_keep(k_tenant text[], k_space text[], k_key text[], k_version bigint[], k_commit uuid[], k_due bigint[], k_bytes bytea[], i_tenant text[], i_space text[], i_key text[], i_name text[], i_rank smallint[], i_whole bigint[], i_fraction double precision[], i_words bytea[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE "golden_schema"."events_records" AS r
    SET version = n.version, commit_id = n.commit_id, due = n.due, bytes = n.bytes, text = NULL, lexemes = NULL
    FROM unnest(k_tenant, k_space, k_key, k_version, k_commit, k_due, k_bytes)
        AS n (tenant, space, key, version, commit_id, due, bytes)
    WHERE r.tenant = n.tenant AND r.space = n.space AND r.key = n.key;
    DELETE FROM "golden_schema"."events_record_index" AS i
    USING unnest(k_tenant, k_space, k_key) AS n (tenant, space, key)
    WHERE i.tenant = n.tenant AND i.space = n.space AND i.key = n.key;
    INSERT INTO "golden_schema"."events_record_index" (tenant, space, key, name, rank, whole, fraction, words)
    SELECT * FROM unnest(i_tenant, i_space, i_key, i_name, i_rank, i_whole, i_fraction, i_words);
END $$;
CREATE FUNCTION golden_schema.events_keep_texts(k_tenant text[], k_space text[], k_key text[], k_version bigint[], k_commit uuid[], k_due bigint[], k_bytes bytea[], k_text text[], k_lexemes text[], i_tenant text[], i_space text[], i_key text[], i_name text[], i_rank smallint[], i_whole bigint[], i_fraction double precision[], i_words bytea[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE "golden_schema"."events_records" AS r
    SET version = n.version, commit_id = n.commit_id, due = n.due, bytes = n.bytes, text = n.text,
        lexemes = CASE WHEN r.text = n.text THEN r.lexemes ELSE n.lexemes::TSVECTOR END
    FROM unnest(k_tenant, k_space, k_key, k_version, k_commit, k_due, k_bytes, k_text, k_lexemes)
        AS n (tenant, space, key, version, commit_id, due, bytes, text, lexemes)
    WHERE r.tenant = n.tenant AND r.space = n.space AND r.key = n.key;
    DELETE FROM "golden_schema"."events_record_index" AS i
    USING unnest(k_tenant, k_space, k_key) AS n (tenant, space, key)
    WHERE i.tenant = n.tenant AND i.space = n.space AND i.key = n.key;
    INSERT INTO "golden_schema"."events_record_index" (tenant, space, key, name, rank, whole, fraction, words)
    SELECT * FROM unnest(i_tenant, i_space, i_key, i_name, i_rank, i_whole, i_fraction, i_words);
END $$;
CREATE FUNCTION golden_schema.events_look(alone boolean, families bigint[], s_tenant text[], s_type text[], s_id text[], k_tenant text[], k_space text[], k_key text[], r_first uuid[], r_last uuid[], OUT heads bigint[], OUT versions bigint[], OUT commits uuid[], OUT present boolean[], OUT known boolean[]) RETURNS record
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
BEGIN
    SELECT array_agg(s.head ORDER BY s.place) INTO heads
    FROM "golden_schema"."events_enter"(alone, families, s_tenant, s_type, s_id) WITH ORDINALITY AS s (number, head, place);
    IF cardinality(k_key) > 0 THEN
        INSERT INTO "golden_schema"."events_records" (tenant, space, key, version, commit_id)
        SELECT n.tenant, n.space, n.key, 0, '00000000-0000-0000-0000-000000000000'
        FROM unnest(k_tenant, k_space, k_key) WITH ORDINALITY AS n (tenant, space, key, place)
        WHERE NOT EXISTS (
            SELECT FROM "golden_schema"."events_records" AS r
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
            INNER JOIN "golden_schema"."events_records" AS r
                ON r.tenant = n.tenant AND r.space = n.space AND r.key = n.key
            ORDER BY n.place
            FOR NO KEY UPDATE OF r
        ) AS l;
    END IF;
    IF cardinality(r_first) > 0 THEN
        SELECT array_agg(coalesce(k.last_id >= r.first_id, false) ORDER BY r.place) INTO known
        FROM unnest(r_first, r_last) WITH ORDINALITY AS r (first_id, last_id, place)
        LEFT JOIN LATERAL (
            SELECT s.last_id FROM "golden_schema"."events_runs" AS s
            WHERE s.first_id <= r.last_id ORDER BY s.first_id DESC LIMIT 1
        ) AS k ON true;
    END IF;
END $$;
CREATE FUNCTION golden_schema.events_may(tenants text[], types text[], ids text[], expected bigint[], r_first uuid[], r_last uuid[]) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    IF cardinality(ids) = 1 AND EXISTS (
        SELECT FROM "golden_schema"."events_streams" AS s
        WHERE s.tenant = tenants[1] AND s.aggregate_type = types[1] AND s.aggregate_id = ids[1]
    ) THEN
        RETURN true;
    END IF;
    RETURN NOT EXISTS (
        SELECT FROM unnest(tenants, types, ids, expected) AS n (tenant, type, id, version)
        LEFT JOIN "golden_schema"."events_streams" AS s
            ON s.tenant = n.tenant AND s.aggregate_type = n.type AND s.aggregate_id = n.id
        WHERE CASE n.version
            WHEN -1 THEN false
            WHEN -2 THEN coalesce(s.version, 0) = 0
            ELSE coalesce(s.version, 0) <> n.version
        END
    ) AND NOT EXISTS (
        SELECT FROM unnest(r_first, r_last) AS r (first_id, last_id)
        CROSS JOIN LATERAL (
            SELECT k.last_id FROM "golden_schema"."events_runs" AS k
            WHERE k.first_id <= r.last_id ORDER BY k.first_id DESC LIMIT 1
        ) AS known
        WHERE known.last_id >= r.first_id
    );
END $$;
CREATE FUNCTION golden_schema.events_moment(microseconds bigint) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE
        WHEN microseconds BETWEEN -210000000000000000 AND 9000000000000000000
        THEN TIMESTAMPTZ 'epoch' + (microseconds / 1000000) * INTERVAL '1 second'
            + (microseconds % 1000000) * INTERVAL '1 microsecond'
    END
$$;
CREATE FUNCTION golden_schema.events_pass(alone boolean, families bigint[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    gate CONSTANT INTEGER := '"golden_schema"."events_log"'::regclass::oid::bigint::bit(32)::integer;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'a writer needs READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
    END IF;
    IF "golden_schema"."events_same"() THEN
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
CREATE FUNCTION golden_schema.events_readable(payload bytea, codec text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    IF codec = 'json' THEN
        RETURN convert_from(payload, 'UTF8');
    END IF;
    RETURN '\x' || encode(payload, 'hex');
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
    RETURN '\x' || encode(payload, 'hex');
END $$;
CREATE FUNCTION golden_schema.events_refuse() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'events are never changed and never deleted' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE FUNCTION golden_schema.events_same() RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    IF current_setting('eventuali.stamp', true) <> "golden_schema"."events_stamp"() THEN
        RAISE EXCEPTION 'the tables of the store have been replaced' USING ERRCODE = 'EVREP';
    END IF;
    RETURN true;
END $$;
CREATE FUNCTION golden_schema.events_stamp() RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT concat_ws(
        ' ',
        '"golden_schema"."events_log"'::regclass::oid, pg_relation_filenode('"golden_schema"."events_log"'::regclass),
        '"golden_schema"."events_streams"'::regclass::oid, pg_relation_filenode('"golden_schema"."events_streams"'::regclass),
        '"golden_schema"."events_kinds"'::regclass::oid, pg_relation_filenode('"golden_schema"."events_kinds"'::regclass),
        '"golden_schema"."events_records"'::regclass::oid, pg_relation_filenode('"golden_schema"."events_records"'::regclass),
        'format 3'
    )
$$;
CREATE FUNCTION golden_schema.events_tail(above bigint, settled boolean, most integer, bytes bigint) RETURNS TABLE(horizon bigint, "position" bigint, stream bigint, version bigint, kind integer, event_id uuid, "timestamp" bigint, recorded_at bigint, checksum bigint, metadata text, payload bytea)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    found BIGINT;
BEGIN
    IF NOT (settled AND EXISTS (SELECT FROM "golden_schema"."events_log" AS l WHERE l.position = above + 1)) THEN
        found := "golden_schema"."events_horizon"();
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
        FROM "golden_schema"."events_log" AS l
        WHERE l.position BETWEEN above + 1 AND coalesce(found, above + most)
        ORDER BY l.position LIMIT most
    ) AS e ON true
    ORDER BY e.position;
END $$;
CREATE FUNCTION golden_schema.events_user(metadata text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT left(replace(metadata, '\u0000', '\u0001')::json ->> 'user_id', 200)
$$;
CREATE FUNCTION golden_schema.events_version_at(number bigint, head bigint, place bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    low BIGINT;
    middle BIGINT;
    high BIGINT := head;
    step BIGINT := 1;
    run RECORD;
BEGIN
    -- A page that follows another begins beside an event of the stream.
    SELECT e.version + place - e.position INTO low FROM "golden_schema"."events_log" AS e
    WHERE e.position BETWEEN place AND place + 1 AND e.stream = number ORDER BY e.position LIMIT 1;
    IF low IS NOT NULL THEN
        RETURN low;
    END IF;
    low := 0;
    WHILE low < high LOOP
        middle := greatest((low + high + 1) / 2, high - step);
        SELECT r.first_version, r.position INTO run FROM "golden_schema"."events_runs" AS r
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
CREATE TABLE golden_schema.events_kinds (
    id integer NOT NULL,
    event_type text NOT NULL COLLATE pg_catalog."C",
    event_version bigint NOT NULL,
    codec text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE golden_schema.events_log (
    "position" bigint NOT NULL,
    stream bigint NOT NULL,
    version bigint NOT NULL,
    "timestamp" bigint NOT NULL,
    recorded_at bigint NOT NULL,
    checksum bigint NOT NULL,
    event_id uuid NOT NULL,
    kind integer NOT NULL,
    metadata text,
    payload bytea NOT NULL
);
CREATE TABLE golden_schema.events_streams (
    id bigint NOT NULL,
    version bigint NOT NULL,
    last_position bigint NOT NULL,
    tenant text NOT NULL COLLATE pg_catalog."C",
    aggregate_type text NOT NULL COLLATE pg_catalog."C",
    aggregate_id text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='80');
CREATE VIEW golden_schema.events AS
 SELECT e."position",
    e.event_id AS id,
    s.tenant,
    s.aggregate_id,
    s.aggregate_type,
    k.event_type,
    k.event_version,
    e.version AS aggregate_version,
    golden_schema.events_readable(e.payload, k.codec) AS event_data,
    k.codec AS event_data_type,
    e.metadata,
    golden_schema.events_moment(e."timestamp") AS "timestamp",
    golden_schema.events_moment(e.recorded_at) AS recorded_at
   FROM ((golden_schema.events_log e
     JOIN golden_schema.events_streams s ON ((s.id = e.stream)))
     JOIN golden_schema.events_kinds k ON ((k.id = e.kind)));
CREATE SEQUENCE golden_schema.events_clock
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
CREATE TABLE golden_schema.events_record_index (
    tenant text NOT NULL COLLATE pg_catalog."C",
    space text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    rank smallint NOT NULL,
    whole bigint NOT NULL,
    fraction double precision NOT NULL,
    words bytea NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE golden_schema.events_records (
    tenant text NOT NULL COLLATE pg_catalog."C",
    space text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    commit_id uuid NOT NULL,
    due bigint,
    bytes bytea,
    text text COLLATE pg_catalog."C",
    lexemes tsvector
)
WITH (fillfactor='80');
CREATE VIEW golden_schema.events_documents AS
 SELECT r.tenant,
    r.space,
    r.key,
    r.version,
    r.commit_id,
    r.due,
    r.bytes,
    e.names,
    e.ranks,
    e.wholes,
    e.fractions,
    e.words
   FROM (golden_schema.events_records r
     CROSS JOIN LATERAL ( SELECT array_agg(i.name ORDER BY i.name, i.rank, i.whole, i.fraction, i.words) AS names,
            array_agg(i.rank ORDER BY i.name, i.rank, i.whole, i.fraction, i.words) AS ranks,
            array_agg(i.whole ORDER BY i.name, i.rank, i.whole, i.fraction, i.words) AS wholes,
            array_agg(i.fraction ORDER BY i.name, i.rank, i.whole, i.fraction, i.words) AS fractions,
            array_agg(i.words ORDER BY i.name, i.rank, i.whole, i.fraction, i.words) AS words
           FROM golden_schema.events_record_index i
          WHERE ((i.tenant = r.tenant) AND (i.space = r.space) AND (i.key = r.key))) e)
  WHERE (r.bytes IS NOT NULL);
CREATE TABLE golden_schema.events_format (
    version integer NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE golden_schema.events_kind_spans (
    kind integer NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL
);
ALTER TABLE golden_schema.events_kinds ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME golden_schema.events_kinds_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE SEQUENCE golden_schema.events_position
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
CREATE TABLE golden_schema.events_runs (
    first_id uuid NOT NULL,
    last_id uuid NOT NULL,
    stream bigint NOT NULL,
    first_version bigint NOT NULL,
    "position" bigint NOT NULL,
    records bigint NOT NULL,
    count integer NOT NULL
);
CREATE TABLE golden_schema.events_store (
    id uuid DEFAULT gen_random_uuid() NOT NULL
);
ALTER TABLE golden_schema.events_streams ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME golden_schema.events_streams_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE golden_schema.events_tags (
    tenant text NOT NULL COLLATE pg_catalog."C",
    tag text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL
);
-- Data for Name: events_format; Type: TABLE DATA; Schema: golden_schema; Owner: -
INSERT INTO golden_schema.events_format VALUES
	(1, '2026-11-29 23:50:15.37977+00'),
	(2, '2026-11-29 23:50:15.37977+00'),
	(3, '2026-11-29 23:50:15.37977+00'),
	(4, '2026-11-29 23:50:15.37977+00');
-- Data for Name: events_kind_spans; Type: TABLE DATA; Schema: golden_schema; Owner: -
INSERT INTO golden_schema.events_kind_spans VALUES
	(1, 1, 1),
	(2, 2, 2),
	(1, 3, 3),
	(2, 4, 5),
	(1, 6, 6),
	(2, 7, 9),
	(1, 10, 10),
	(2, 11, 14),
	(1, 15, 15),
	(2, 16, 16),
	(1, 17, 17),
	(2, 18, 19),
	(1, 20, 20),
	(2, 21, 23),
	(1, 24, 24),
	(2, 25, 28),
	(3, 29, 64),
	(4, 65, 104),
	(4, 105, 105),
	(4, 106, 110),
	(5, 111, 113),
	(1, 114, 114),
	(2, 115, 115),
	(1, 116, 116),
	(2, 117, 117),
	(1, 118, 118),
	(2, 119, 119),
	(2, 120, 120),
	(2, 121, 121),
	(2, 122, 122),
	(2, 123, 123),
	(2, 124, 124),
	(2, 125, 125),
	(2, 126, 126),
	(2, 127, 127),
	(2, 128, 128),
	(2, 129, 129);
-- Data for Name: events_kinds; Type: TABLE DATA; Schema: golden_schema; Owner: -
INSERT INTO golden_schema.events_kinds OVERRIDING SYSTEM VALUE VALUES
	(1, 'golden.opened', 1, 'json'),
	(2, 'golden.paid', 3, 'json'),
	(3, 'golden.filled', 1, 'json'),
	(4, 'golden.visited', 1, 'json'),
	(5, 'golden.moved', 3, 'json;readable_by=2');
-- Data for Name: events_log; Type: TABLE DATA; Schema: golden_schema; Owner: -
INSERT INTO golden_schema.events_log VALUES
	(1, 1, 1, 1740787200000001, 1740787200000000, 8576920943017006424, '01954f00-b000-7000-8000-000000000001', 1, NULL, '\x7b226f776e6572223a22416461222c226174223a22323032352d30312d30315431323a33303a31352e3132333435362d30333a3330222c2274616773223a5b5d7d'),
	(2, 1, 2, 1740787200000002, 1740787200000000, 5709462218414953824, '01954f00-b000-7000-8000-000000000002', 2, NULL, '\x7b22616d6f756e74223a22302e3130222c226279223a2237363332646330322d633833612d353564362d616662322d396366303534363862656439227d'),
	(3, 2, 1, 1740787200000003, 1740787207000000, 2190068767324554142, '01954f00-b000-7000-8000-000000000003', 1, '{"user_id":"user-3 é","tags":["vip"]}', '\x7b226f776e6572223a225a6fc3ab222c226174223a22323032352d30312d30325431323a33303a31352e3132333435362d30323a3330222c2274616773223a5b22766970225d7d'),
	(4, 2, 2, 1740787200000004, 1740787207000000, 1250392126971102118, '01954f00-b000-7000-8000-000000000004', 2, '{"headers":[["trace","0004"],["Überschrift","ja"]]}', '\x7b22616d6f756e74223a22302e3130222c226279223a2234323163623965642d633165302d353361352d616135372d313963626137383835656262227d'),
	(5, 2, 3, 1740787200000005, 1740787207000000, 5780843554868741038, '01954f00-b000-7000-8000-000000000005', 2, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 5 😀"}', '\x7b22616d6f756e74223a2231452b33222c226279223a2234323163623965642d633165302d353361352d616135372d313963626137383835656262227d'),
	(6, 3, 1, 1740787200000006, 1740787214000000, 8889577749614326247, '01954f00-b000-7000-8000-000000000006', 1, '{"user_id":"user-1 é"}', '\x7b226f776e6572223a225a6f65cc88222c226174223a22323032352d30312d30335431323a33303a31352e3132333435362d30313a3330222c2274616773223a5b5d7d'),
	(7, 3, 2, 1740787200000007, 1740787214000000, 218677376202732015, '8af9e95d-2655-5da9-aa22-7effc3c14a84', 2, NULL, '\x7b22616d6f756e74223a22302e3130222c226279223a2236393661386534362d613733622d356366342d393532322d313837633336326132353634227d'),
	(8, 3, 3, 1740787200000008, 1740787214000000, 6549243634015433207, '01954f00-b000-7000-8000-000000000008', 2, '{"headers":[["trace","0008"],["Überschrift","ja"]]}', '\x7b22616d6f756e74223a2231452b33222c226279223a2236393661386534362d613733622d356366342d393532322d313837633336326132353634227d'),
	(9, 3, 4, 1740787200000009, 1740787214000000, 893533144902955519, '01954f00-b000-7000-8000-000000000009', 2, '{"user_id":"user-4 é"}', '\x7b22616d6f756e74223a222d302e3030222c226279223a6e756c6c7d'),
	(10, 4, 1, 1740787210000010, 1740787221000000, 8874390367347548211, '01954f00-d710-7000-8000-00000000000a', 1, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 10 😀","tags":["vip"]}', '\x7b226f776e6572223a22cea96d65676120f09d9498f09d94abf09d94a6f09d94a0f09d94acf09d94a1f09d94a2222c226174223a22323032352d30312d30345431323a33303a31352e3132333435362d30303a3330222c2274616773223a5b22766970225d7d'),
	(11, 4, 2, 1740787210000011, 1740787221000000, 125264695864467515, '01954f00-d710-7000-8000-00000000000b', 2, NULL, '\x7b22616d6f756e74223a22302e3130222c226279223a2262333762336335342d336466332d353964392d623933662d643631623462383963643235227d'),
	(12, 4, 3, 1740787210000012, 1740787221000000, 4634308278034505795, '01954f00-d710-7000-8000-00000000000c', 2, '{"user_id":"user-2 é","headers":[["trace","000c"],["Überschrift","ja"]]}', '\x7b22616d6f756e74223a2231452b33222c226279223a2262333762336335342d336466332d353964392d623933662d643631623462383963643235227d'),
	(13, 4, 4, 1740787210000013, 1740787221000000, 8032081157432942667, '01954f00-d710-7000-8000-00000000000d', 2, NULL, '\x7b22616d6f756e74223a222d302e3030222c226279223a6e756c6c7d'),
	(14, 4, 5, 1740787210000014, 1740787221000000, 2991552036856012883, '475ff51b-e62b-5131-ab3b-31f80b00ac72', 2, NULL, '\x7b22616d6f756e74223a2231323334353637383930313233343536373839302e313233343536373839222c226279223a2262333762336335342d336466332d353964392d623933662d643631623462383963643235227d'),
	(15, 5, 1, 1740787210000015, 1740787228000000, 8792621223089655426, '01954f00-d710-7000-8000-00000000000f', 1, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 15 😀","user_id":"user-0 é"}', '\x7b226f776e6572223a2271756f746564205c225c5c5c2220616e64202f205c753030303020e280a8222c226174223a22323032352d30312d30355431323a33303a31352e3132333435362b30303a3330222c2274616773223a5b5d7d'),
	(16, 5, 2, 1740787210000016, 1740787228000000, 6318999340842077834, '01954f00-d710-7000-8000-000000000010', 2, '{"headers":[["trace","0010"],["Überschrift","ja"]]}', '\x7b22616d6f756e74223a22302e3130222c226279223a2239313434366661362d333437372d353065632d626531352d303432386262303631333933227d'),
	(17, 6, 1, 1740787210000017, 1740787235000000, 4602646638219853000, '01954f00-d710-7000-8000-000000000011', 1, '{"tags":["vip"]}', '\x7b226f776e6572223a22f09f91a9e2808df09f91a9e2808df09f91a72066616d696c79222c226174223a22323032352d30312d30365431323a33303a31352e3132333435362b30313a3330222c2274616773223a5b22766970225d7d'),
	(18, 6, 2, 1740787210000018, 1740787235000000, 1998792094050516176, '01954f00-d710-7000-8000-000000000012', 2, '{"user_id":"user-3 é"}', '\x7b22616d6f756e74223a22302e3130222c226279223a2239356565633532382d646330362d353034662d383966622d383237656565343132653836227d'),
	(19, 6, 3, 1740787210000019, 1740787235000000, 4719339894629825752, '01954f00-d710-7000-8000-000000000013', 2, NULL, '\x7b22616d6f756e74223a2231452b33222c226279223a2239356565633532382d646330362d353034662d383966622d383237656565343132653836227d'),
	(20, 7, 1, 1740787220000020, 1740787242000000, 2668657381384727313, '01954f00-fe20-7000-8000-000000000014', 1, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 20 😀","headers":[["trace","0014"],["Überschrift","ja"]]}', '\x7b226f776e6572223a22efb7ba20726967687420746f206c656674222c226174223a22323032352d30312d30375431323a33303a31352e3132333435362b30323a3330222c2274616773223a5b5d7d'),
	(21, 7, 2, 1740787220000021, 1740787242000000, 8146809865883953945, '3d608e28-fd26-5109-9fc4-49e99a6e5324', 2, '{"user_id":"user-1 é"}', '\x7b22616d6f756e74223a22302e3130222c226279223a2236616561326435312d373330302d353434392d396366382d323934613839663863313838227d'),
	(22, 7, 3, 1740787220000022, 1740787242000000, 3264486076108581665, '01954f00-fe20-7000-8000-000000000016', 2, NULL, '\x7b22616d6f756e74223a2231452b33222c226279223a2236616561326435312d373330302d353434392d396366382d323934613839663863313838227d'),
	(23, 7, 4, 1740787220000023, 1740787242000000, 6865265704353475369, '01954f00-fe20-7000-8000-000000000017', 2, NULL, '\x7b22616d6f756e74223a222d302e3030222c226279223a6e756c6c7d'),
	(24, 8, 1, 1740787220000024, 1740787249000000, 1000698688774134109, '01954f00-fe20-7000-8000-000000000018', 1, '{"user_id":"user-4 é","headers":[["trace","0018"],["Überschrift","ja"]],"tags":["vip"]}', '\x7b226f776e6572223a22787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878222c226174223a22323032352d30312d30385431323a33303a31352e3132333435362b30333a3330222c2274616773223a5b22766970225d7d'),
	(25, 8, 2, 1740787220000025, 1740787249000000, 5204360503389116773, '01954f00-fe20-7000-8000-000000000019', 2, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 25 😀"}', '\x7b22616d6f756e74223a22302e3130222c226279223a2266646130333237662d346665352d353162302d626236302d643566353962363061613034227d'),
	(26, 8, 3, 1740787220000026, 1740787249000000, 4953986145078008173, '01954f00-fe20-7000-8000-00000000001a', 2, NULL, '\x7b22616d6f756e74223a2231452b33222c226279223a2266646130333237662d346665352d353162302d626236302d643566353962363061613034227d'),
	(27, 8, 4, 1740787220000027, 1740787249000000, 3298214800077937013, '01954f00-fe20-7000-8000-00000000001b', 2, '{"user_id":"user-2 é"}', '\x7b22616d6f756e74223a222d302e3030222c226279223a6e756c6c7d'),
	(28, 8, 5, 1740787220000028, 1740787249000000, 154686373089302909, 'e680a2df-e93a-57c4-af98-3ebc6a411475', 2, '{"headers":[["trace","001c"],["Überschrift","ja"]]}', '\x7b22616d6f756e74223a2231323334353637383930313233343536373839302e313233343536373839222c226279223a2266646130333237662d346665352d353162302d626236302d643566353962363061613034227d'),
	(29, 9, 1, 1740787220000029, 1740787256000000, 1358654809598625708, '01954f00-fe20-7000-8000-00000000001d', 3, NULL, '\x7b226974656d73223a7b226974656d2030223a5b302c302c313039393531313632373737365d2c22223a5b5d7d2c22776569676874223a302e312c22636f756e74223a3130303030303030303030303030303030303030302c226e6f7465223a22416461227d'),
	(30, 9, 2, 1740787230000030, 1740787256000000, 5516209383639386036, '01954f01-2530-7000-8000-00000000001e', 3, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 30 😀","user_id":"user-0 é"}', '\x7b226974656d73223a7b226974656d2031223a5b312c2d312c313039393531313632373737375d2c22223a5b5d7d2c22776569676874223a31652b3330302c22636f756e74223a3130303030303030303030303030303030303030312c226e6f7465223a6e756c6c7d'),
	(31, 9, 3, 1740787230000031, 1740787256000000, 3103331509474461628, '01954f01-2530-7000-8000-00000000001f', 3, NULL, '\x7b226974656d73223a7b226974656d2032223a5b322c2d322c313039393531313632373737385d2c22223a5b5d7d2c22776569676874223a2d302e302c22636f756e74223a3130303030303030303030303030303030303030322c226e6f7465223a225a6f65cc88227d'),
	(32, 9, 4, 1740787230000032, 1740787256000000, 7073610165638956996, '01954f01-2530-7000-8000-000000000020', 3, '{"headers":[["trace","0020"],["Überschrift","ja"]]}', '\x7b226974656d73223a7b226974656d2033223a5b332c2d332c313039393531313632373737395d2c22223a5b5d7d2c22776569676874223a322e35652d31302c22636f756e74223a3130303030303030303030303030303030303030332c226e6f7465223a6e756c6c7d'),
	(33, 9, 5, 1740787230000033, 1740787256000000, 2049619999898765260, '01954f01-2530-7000-8000-000000000021', 3, '{"user_id":"user-3 é"}', '\x7b226974656d73223a7b226974656d2034223a5b342c2d342c313039393531313632373738305d2c22223a5b5d7d2c22776569676874223a302e312c22636f756e74223a3130303030303030303030303030303030303030342c226e6f7465223a2271756f746564205c225c5c5c2220616e64202f205c753030303020e280a8227d'),
	(34, 9, 6, 1740787230000034, 1740787256000000, 8058168129756366804, '01954f01-2530-7000-8000-000000000022', 3, NULL, '\x7b226974656d73223a7b226974656d2035223a5b352c2d352c313039393531313632373738315d2c22223a5b5d7d2c22776569676874223a31652b3330302c22636f756e74223a3130303030303030303030303030303030303030352c226e6f7465223a6e756c6c7d'),
	(35, 9, 7, 1740787230000035, 1740787256000000, 4482367780049422300, '3e7669cb-3d3a-5de6-b266-3839e40913aa', 3, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 35 😀"}', '\x7b226974656d73223a7b226974656d2036223a5b362c2d362c313039393531313632373738325d2c22223a5b5d7d2c22776569676874223a2d302e302c22636f756e74223a3130303030303030303030303030303030303030362c226e6f7465223a22efb7ba20726967687420746f206c656674227d'),
	(36, 9, 8, 1740787230000036, 1740787256000000, 2486660272618506212, '01954f01-2530-7000-8000-000000000024', 3, '{"user_id":"user-1 é","headers":[["trace","0024"],["Überschrift","ja"]]}', '\x7b226974656d73223a7b226974656d2037223a5b372c2d372c313039393531313632373738335d2c22223a5b5d7d2c22776569676874223a322e35652d31302c22636f756e74223a3130303030303030303030303030303030303030372c226e6f7465223a6e756c6c7d'),
	(37, 9, 9, 1740787230000037, 1740787256000000, 5515228481828456428, '01954f01-2530-7000-8000-000000000025', 3, NULL, '\x7b226974656d73223a7b226974656d2038223a5b382c2d382c313039393531313632373738345d2c22223a5b5d7d2c22776569676874223a302e312c22636f756e74223a3130303030303030303030303030303030303030382c226e6f7465223a22416461227d'),
	(38, 10, 1, 1740787230000038, 1740787256000000, 4464158482366498759, '01954f01-2530-7000-8000-000000000026', 3, NULL, '\x7b226974656d73223a7b226974656d2030223a5b302c302c313039393531313632373737365d2c22223a5b5d7d2c22776569676874223a302e312c22636f756e74223a3130303030303030303030303030303030303030302c226e6f7465223a22416461227d'),
	(39, 10, 2, 1740787230000039, 1740787256000000, 2917288803410413519, '01954f01-2530-7000-8000-000000000027', 3, '{"user_id":"user-4 é"}', '\x7b226974656d73223a7b226974656d2031223a5b312c2d312c313039393531313632373737375d2c22223a5b5d7d2c22776569676874223a31652b3330302c22636f756e74223a3130303030303030303030303030303030303030312c226e6f7465223a6e756c6c7d'),
	(40, 10, 3, 1740787240000040, 1740787256000000, 7910581777029171159, '01954f01-4c40-7000-8000-000000000028', 3, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 40 😀","headers":[["trace","0028"],["Überschrift","ja"]]}', '\x7b226974656d73223a7b226974656d2032223a5b322c2d322c313039393531313632373737385d2c22223a5b5d7d2c22776569676874223a2d302e302c22636f756e74223a3130303030303030303030303030303030303030322c226e6f7465223a225a6f65cc88227d'),
	(41, 10, 4, 1740787240000041, 1740787256000000, 319290245285709791, '01954f01-4c40-7000-8000-000000000029', 3, NULL, '\x7b226974656d73223a7b226974656d2033223a5b332c2d332c313039393531313632373737395d2c22223a5b5d7d2c22776569676874223a322e35652d31302c22636f756e74223a3130303030303030303030303030303030303030332c226e6f7465223a6e756c6c7d'),
	(42, 10, 5, 1740787240000042, 1740787256000000, 647462187350132711, 'd2a348b2-cf76-5715-a046-56ead81e00e5', 3, '{"user_id":"user-2 é"}', '\x7b226974656d73223a7b226974656d2034223a5b342c2d342c313039393531313632373738305d2c22223a5b5d7d2c22776569676874223a302e312c22636f756e74223a3130303030303030303030303030303030303030342c226e6f7465223a2271756f746564205c225c5c5c2220616e64202f205c753030303020e280a8227d'),
	(43, 10, 6, 1740787240000043, 1740787256000000, 6209562650918029295, '01954f01-4c40-7000-8000-00000000002b', 3, NULL, '\x7b226974656d73223a7b226974656d2035223a5b352c2d352c313039393531313632373738315d2c22223a5b5d7d2c22776569676874223a31652b3330302c22636f756e74223a3130303030303030303030303030303030303030352c226e6f7465223a6e756c6c7d'),
	(44, 10, 7, 1740787240000044, 1740787256000000, 6958465822612293623, '01954f01-4c40-7000-8000-00000000002c', 3, '{"headers":[["trace","002c"],["Überschrift","ja"]]}', '\x7b226974656d73223a7b226974656d2036223a5b362c2d362c313039393531313632373738325d2c22223a5b5d7d2c22776569676874223a2d302e302c22636f756e74223a3130303030303030303030303030303030303030362c226e6f7465223a22efb7ba20726967687420746f206c656674227d'),
	(45, 10, 8, 1740787240000045, 1740787256000000, 978027716836100095, '01954f01-4c40-7000-8000-00000000002d', 3, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 45 😀","user_id":"user-0 é"}', '\x7b226974656d73223a7b226974656d2037223a5b372c2d372c313039393531313632373738335d2c22223a5b5d7d2c22776569676874223a322e35652d31302c22636f756e74223a3130303030303030303030303030303030303030372c226e6f7465223a6e756c6c7d'),
	(46, 10, 9, 1740787240000046, 1740787256000000, 4705720875603757063, '01954f01-4c40-7000-8000-00000000002e', 3, NULL, '\x7b226974656d73223a7b226974656d2038223a5b382c2d382c313039393531313632373738345d2c22223a5b5d7d2c22776569676874223a302e312c22636f756e74223a3130303030303030303030303030303030303030382c226e6f7465223a22416461227d'),
	(47, 11, 1, 1740787240000047, 1740787256000000, 2107357043395430370, '01954f01-4c40-7000-8000-00000000002f', 3, NULL, '\x7b226974656d73223a7b226974656d2030223a5b302c302c313039393531313632373737365d2c22223a5b5d7d2c22776569676874223a302e312c22636f756e74223a3130303030303030303030303030303030303030302c226e6f7465223a22416461227d'),
	(48, 11, 2, 1740787240000048, 1740787256000000, 4153122255074789354, '01954f01-4c40-7000-8000-000000000030', 3, '{"user_id":"user-3 é","headers":[["trace","0030"],["Überschrift","ja"]]}', '\x7b226974656d73223a7b226974656d2031223a5b312c2d312c313039393531313632373737375d2c22223a5b5d7d2c22776569676874223a31652b3330302c22636f756e74223a3130303030303030303030303030303030303030312c226e6f7465223a6e756c6c7d'),
	(49, 11, 3, 1740787240000049, 1740787256000000, 672707380198279154, '4c386e50-397b-5911-b379-98f848d3fe56', 3, NULL, '\x7b226974656d73223a7b226974656d2032223a5b322c2d322c313039393531313632373737385d2c22223a5b5d7d2c22776569676874223a2d302e302c22636f756e74223a3130303030303030303030303030303030303030322c226e6f7465223a225a6f65cc88227d'),
	(50, 11, 4, 1740787250000050, 1740787256000000, 4327487716007643130, '01954f01-7350-7000-8000-000000000032', 3, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 50 😀"}', '\x7b226974656d73223a7b226974656d2033223a5b332c2d332c313039393531313632373737395d2c22223a5b5d7d2c22776569676874223a322e35652d31302c22636f756e74223a3130303030303030303030303030303030303030332c226e6f7465223a6e756c6c7d');
INSERT INTO golden_schema.events_log VALUES
	(51, 11, 5, 1740787250000051, 1740787256000000, 336511485742188546, '01954f01-7350-7000-8000-000000000033', 3, '{"user_id":"user-1 é"}', '\x7b226974656d73223a7b226974656d2034223a5b342c2d342c313039393531313632373738305d2c22223a5b5d7d2c22776569676874223a302e312c22636f756e74223a3130303030303030303030303030303030303030342c226e6f7465223a2271756f746564205c225c5c5c2220616e64202f205c753030303020e280a8227d'),
	(52, 11, 6, 1740787250000052, 1740787256000000, 4963709130746398730, '01954f01-7350-7000-8000-000000000034', 3, '{"headers":[["trace","0034"],["Überschrift","ja"]]}', '\x7b226974656d73223a7b226974656d2035223a5b352c2d352c313039393531313632373738315d2c22223a5b5d7d2c22776569676874223a31652b3330302c22636f756e74223a3130303030303030303030303030303030303030352c226e6f7465223a6e756c6c7d'),
	(53, 11, 7, 1740787250000053, 1740787256000000, 5960599247345715218, '01954f01-7350-7000-8000-000000000035', 3, NULL, '\x7b226974656d73223a7b226974656d2036223a5b362c2d362c313039393531313632373738325d2c22223a5b5d7d2c22776569676874223a2d302e302c22636f756e74223a3130303030303030303030303030303030303030362c226e6f7465223a22efb7ba20726967687420746f206c656674227d'),
	(54, 11, 8, 1740787250000054, 1740787256000000, 2657798729200863258, '01954f01-7350-7000-8000-000000000036', 3, '{"user_id":"user-4 é"}', '\x7b226974656d73223a7b226974656d2037223a5b372c2d372c313039393531313632373738335d2c22223a5b5d7d2c22776569676874223a322e35652d31302c22636f756e74223a3130303030303030303030303030303030303030372c226e6f7465223a6e756c6c7d'),
	(55, 11, 9, 1740787250000055, 1740787256000000, 2304892207917729826, '01954f01-7350-7000-8000-000000000037', 3, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 55 😀"}', '\x7b226974656d73223a7b226974656d2038223a5b382c2d382c313039393531313632373738345d2c22223a5b5d7d2c22776569676874223a302e312c22636f756e74223a3130303030303030303030303030303030303030382c226e6f7465223a22416461227d'),
	(56, 12, 1, 1740787250000056, 1740787256000000, 6493757686251816957, '46f19ae3-8b90-53d0-8e10-e0056cf85d65', 3, '{"headers":[["trace","0038"],["Überschrift","ja"]]}', '\x7b226974656d73223a7b226974656d2030223a5b302c302c313039393531313632373737365d2c22223a5b5d7d2c22776569676874223a302e312c22636f756e74223a3130303030303030303030303030303030303030302c226e6f7465223a22416461227d'),
	(57, 12, 2, 1740787250000057, 1740787256000000, 8341904692363692037, '01954f01-7350-7000-8000-000000000039', 3, '{"user_id":"user-2 é"}', '\x7b226974656d73223a7b226974656d2031223a5b312c2d312c313039393531313632373737375d2c22223a5b5d7d2c22776569676874223a31652b3330302c22636f756e74223a3130303030303030303030303030303030303030312c226e6f7465223a6e756c6c7d'),
	(58, 12, 3, 1740787250000058, 1740787256000000, 3287930275450882061, '01954f01-7350-7000-8000-00000000003a', 3, NULL, '\x7b226974656d73223a7b226974656d2032223a5b322c2d322c313039393531313632373737385d2c22223a5b5d7d2c22776569676874223a2d302e302c22636f756e74223a3130303030303030303030303030303030303030322c226e6f7465223a225a6f65cc88227d'),
	(59, 12, 4, 1740787250000059, 1740787256000000, 1569429075519375381, '01954f01-7350-7000-8000-00000000003b', 3, NULL, '\x7b226974656d73223a7b226974656d2033223a5b332c2d332c313039393531313632373737395d2c22223a5b5d7d2c22776569676874223a322e35652d31302c22636f756e74223a3130303030303030303030303030303030303030332c226e6f7465223a6e756c6c7d'),
	(60, 12, 5, 1740787260000060, 1740787256000000, 2349797654365505565, '01954f01-9a60-7000-8000-00000000003c', 3, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 60 😀","user_id":"user-0 é","headers":[["trace","003c"],["Überschrift","ja"]]}', '\x7b226974656d73223a7b226974656d2034223a5b342c2d342c313039393531313632373738305d2c22223a5b5d7d2c22776569676874223a302e312c22636f756e74223a3130303030303030303030303030303030303030342c226e6f7465223a2271756f746564205c225c5c5c2220616e64202f205c753030303020e280a8227d'),
	(61, 12, 6, 1740787260000061, 1740787256000000, 7537665226452273189, '01954f01-9a60-7000-8000-00000000003d', 3, NULL, '\x7b226974656d73223a7b226974656d2035223a5b352c2d352c313039393531313632373738315d2c22223a5b5d7d2c22776569676874223a31652b3330302c22636f756e74223a3130303030303030303030303030303030303030352c226e6f7465223a6e756c6c7d'),
	(62, 12, 7, 1740787260000062, 1740787256000000, 5743038168593106989, '01954f01-9a60-7000-8000-00000000003e', 3, NULL, '\x7b226974656d73223a7b226974656d2036223a5b362c2d362c313039393531313632373738325d2c22223a5b5d7d2c22776569676874223a2d302e302c22636f756e74223a3130303030303030303030303030303030303030362c226e6f7465223a22efb7ba20726967687420746f206c656674227d'),
	(63, 12, 8, 1740787260000063, 1740787256000000, 3467899167613945909, '686260a1-20dd-51e4-830a-7c0e1c0db654', 3, '{"user_id":"user-3 é"}', '\x7b226974656d73223a7b226974656d2037223a5b372c2d372c313039393531313632373738335d2c22223a5b5d7d2c22776569676874223a322e35652d31302c22636f756e74223a3130303030303030303030303030303030303030372c226e6f7465223a6e756c6c7d'),
	(64, 12, 9, 1740787260000064, 1740787256000000, 1880179781975181373, '01954f01-9a60-7000-8000-000000000040', 3, '{"headers":[["trace","0040"],["Überschrift","ja"]]}', '\x7b226974656d73223a7b226974656d2038223a5b382c2d382c313039393531313632373738345d2c22223a5b5d7d2c22776569676874223a302e312c22636f756e74223a3130303030303030303030303030303030303030382c226e6f7465223a22416461227d'),
	(65, 13, 0, 1740787260000065, 1740873656000000, 1901505526465046829, '01954f01-9a60-7000-8000-000000000041', 4, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 65 😀","tags":["web","page-0"]}', '\x7b2270616765223a222f30227d'),
	(66, 13, 0, 1740787260000066, 1740873656000000, 1084991288834795824, '01954f01-9a60-7000-8000-000000000042', 4, '{"user_id":"user-1 é","tags":["web","page-1"]}', '\x7b2270616765223a222f31227d'),
	(67, 13, 0, 1740787260000067, 1740873656000000, 8217687401932532019, '01954f01-9a60-7000-8000-000000000043', 4, '{"tags":["web","page-2"]}', '\x7b2270616765223a222f32227d'),
	(68, 13, 0, 1740787260000068, 1740873656000000, 3668156573959858486, '01954f01-9a60-7000-8000-000000000044', 4, '{"headers":[["trace","0044"],["Überschrift","ja"]],"tags":["web","page-0"]}', '\x7b2270616765223a222f33227d'),
	(69, 13, 0, 1740787260000069, 1740873656000000, 6348636843678116153, '01954f01-9a60-7000-8000-000000000045', 4, '{"user_id":"user-4 é","tags":["web","page-1"]}', '\x7b2270616765223a222f34227d'),
	(70, 13, 0, 1740787270000070, 1740873656000000, 3377964563837495612, '7366507c-3e51-5f46-b10e-612d3d9c8ee6', 4, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 70 😀","tags":["web","page-2"]}', '\x7b2270616765223a222f35227d'),
	(71, 13, 0, 1740787270000071, 1740873656000000, 320387172700268863, '01954f01-c170-7000-8000-000000000047', 4, '{"tags":["web","page-0"]}', '\x7b2270616765223a222f36227d'),
	(72, 13, 0, 1740787270000072, 1740873656000000, 5193440022164154690, '01954f01-c170-7000-8000-000000000048', 4, '{"user_id":"user-2 é","headers":[["trace","0048"],["Überschrift","ja"]],"tags":["web","page-1"]}', '\x7b2270616765223a222f37227d'),
	(73, 13, 0, 1740787270000073, 1740873656000000, 3977594197244127557, '01954f01-c170-7000-8000-000000000049', 4, '{"tags":["web","page-2"]}', '\x7b2270616765223a222f38227d'),
	(74, 13, 0, 1740787270000074, 1740873656000000, 1170060507770792264, '01954f01-c170-7000-8000-00000000004a', 4, '{"tags":["web","page-0"]}', '\x7b2270616765223a222f39227d'),
	(75, 13, 0, 1740787270000075, 1740873656000000, 8489579801947154763, '01954f01-c170-7000-8000-00000000004b', 4, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 75 😀","user_id":"user-0 é","tags":["web","page-1"]}', '\x7b2270616765223a222f3130227d'),
	(76, 13, 0, 1740787270000076, 1740873656000000, 5906387398398585166, '01954f01-c170-7000-8000-00000000004c', 4, '{"headers":[["trace","004c"],["Überschrift","ja"]],"tags":["web","page-2"]}', '\x7b2270616765223a222f3131227d'),
	(77, 13, 0, 1740787270000077, 1740873656000000, 320524671783283025, '5edf3b59-4bf2-5897-870f-d9bdb146887d', 4, '{"tags":["web","page-0"]}', '\x7b2270616765223a222f3132227d'),
	(78, 13, 0, 1740787270000078, 1740873656000000, 3191154162434058580, '01954f01-c170-7000-8000-00000000004e', 4, '{"user_id":"user-3 é","tags":["web","page-1"]}', '\x7b2270616765223a222f3133227d'),
	(79, 13, 0, 1740787270000079, 1740873656000000, 7513137008884328791, '01954f01-c170-7000-8000-00000000004f', 4, '{"tags":["web","page-2"]}', '\x7b2270616765223a222f3134227d'),
	(80, 13, 0, 1740787280000080, 1740873656000000, 5997928016358156634, '01954f01-e880-7000-8000-000000000050', 4, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 80 😀","headers":[["trace","0050"],["Überschrift","ja"]],"tags":["web","page-0"]}', '\x7b2270616765223a222f3135227d'),
	(81, 13, 0, 1740787280000081, 1740873656000000, 7426981450985253213, '01954f01-e880-7000-8000-000000000051', 4, '{"user_id":"user-1 é","tags":["web","page-1"]}', '\x7b2270616765223a222f3136227d'),
	(82, 13, 0, 1740787280000082, 1740873656000000, 6032928392048028000, '01954f01-e880-7000-8000-000000000052', 4, '{"tags":["web","page-2"]}', '\x7b2270616765223a222f3137227d'),
	(83, 13, 0, 1740787280000083, 1740873656000000, 2254068373055088995, '01954f01-e880-7000-8000-000000000053', 4, '{"tags":["web","page-0"]}', '\x7b2270616765223a222f3138227d'),
	(84, 13, 0, 1740787280000084, 1740873656000000, 5326690575068703078, 'a735ae2f-42c8-53c4-9c14-1c10de3cd909', 4, '{"user_id":"user-4 é","headers":[["trace","0054"],["Überschrift","ja"]],"tags":["web","page-1"]}', '\x7b2270616765223a222f3139227d'),
	(85, 13, 0, 1740787280000085, 1740873656000000, 4377380123354343785, '01954f01-e880-7000-8000-000000000055', 4, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 85 😀","tags":["web","page-2"]}', '\x7b2270616765223a222f3230227d'),
	(86, 13, 0, 1740787280000086, 1740873656000000, 1522257300740647276, '01954f01-e880-7000-8000-000000000056', 4, '{"tags":["web","page-0"]}', '\x7b2270616765223a222f3231227d'),
	(87, 13, 0, 1740787280000087, 1740873656000000, 5323596145621215599, '01954f01-e880-7000-8000-000000000057', 4, '{"user_id":"user-2 é","tags":["web","page-1"]}', '\x7b2270616765223a222f3232227d'),
	(88, 13, 0, 1740787280000088, 1740873656000000, 5035573351681370482, '01954f01-e880-7000-8000-000000000058', 4, '{"headers":[["trace","0058"],["Überschrift","ja"]],"tags":["web","page-2"]}', '\x7b2270616765223a222f3233227d'),
	(89, 13, 0, 1740787280000089, 1740873656000000, 1444194975203207541, '01954f01-e880-7000-8000-000000000059', 4, '{"tags":["web","page-0"]}', '\x7b2270616765223a222f3234227d'),
	(90, 13, 0, 1740787290000090, 1740873656000000, 6732162676440705400, '01954f02-0f90-7000-8000-00000000005a', 4, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 90 😀","user_id":"user-0 é","tags":["web","page-1"]}', '\x7b2270616765223a222f3235227d'),
	(91, 13, 0, 1740787290000091, 1740873656000000, 6772267032351353211, '3a16bb51-1633-5827-9c67-ff08d52f9e76', 4, '{"tags":["web","page-2"]}', '\x7b2270616765223a222f3236227d'),
	(92, 13, 0, 1740787290000092, 1740873656000000, 6914631295404616062, '01954f02-0f90-7000-8000-00000000005c', 4, '{"headers":[["trace","005c"],["Überschrift","ja"]],"tags":["web","page-0"]}', '\x7b2270616765223a222f3237227d'),
	(93, 13, 0, 1740787290000093, 1740873656000000, 1945444296033577345, '01954f02-0f90-7000-8000-00000000005d', 4, '{"user_id":"user-3 é","tags":["web","page-1"]}', '\x7b2270616765223a222f3238227d'),
	(94, 13, 0, 1740787290000094, 1740873656000000, 7982288490775980420, '01954f02-0f90-7000-8000-00000000005e', 4, '{"tags":["web","page-2"]}', '\x7b2270616765223a222f3239227d'),
	(95, 13, 0, 1740787290000095, 1740873656000000, 3798907741513460103, '01954f02-0f90-7000-8000-00000000005f', 4, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 95 😀","tags":["web","page-0"]}', '\x7b2270616765223a222f3330227d'),
	(96, 13, 0, 1740787290000096, 1740873656000000, 2662657854693190026, '01954f02-0f90-7000-8000-000000000060', 4, '{"user_id":"user-1 é","headers":[["trace","0060"],["Überschrift","ja"]],"tags":["web","page-1"]}', '\x7b2270616765223a222f3331227d'),
	(97, 13, 0, 1740787290000097, 1740873656000000, 3918472138463652237, '01954f02-0f90-7000-8000-000000000061', 4, '{"tags":["web","page-2"]}', '\x7b2270616765223a222f3332227d'),
	(98, 13, 0, 1740787290000098, 1740873656000000, 2311611208868047248, 'b1cda599-3468-5be8-9f5a-b224a4e62a6b', 4, '{"tags":["web","page-0"]}', '\x7b2270616765223a222f3333227d'),
	(99, 13, 0, 1740787290000099, 1740873656000000, 5576147141818329491, '01954f02-0f90-7000-8000-000000000063', 4, '{"user_id":"user-4 é","tags":["web","page-1"]}', '\x7b2270616765223a222f3334227d'),
	(100, 13, 0, 1740787300000100, 1740873656000000, 771084421366557078, '01954f02-36a0-7000-8000-000000000064', 4, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 100 😀","headers":[["trace","0064"],["Überschrift","ja"]],"tags":["web","page-2"]}', '\x7b2270616765223a222f3335227d');
INSERT INTO golden_schema.events_log VALUES
	(101, 13, 0, 1740787300000101, 1740873656000000, 4296261088919693721, '01954f02-36a0-7000-8000-000000000065', 4, '{"tags":["web","page-0"]}', '\x7b2270616765223a222f3336227d'),
	(102, 13, 0, 1740787300000102, 1740873656000000, 3305719329120856476, '01954f02-36a0-7000-8000-000000000066', 4, '{"user_id":"user-2 é","tags":["web","page-1"]}', '\x7b2270616765223a222f3337227d'),
	(103, 13, 0, 1740787300000103, 1740873656000000, 676093956825819551, '01954f02-36a0-7000-8000-000000000067', 4, '{"tags":["web","page-2"]}', '\x7b2270616765223a222f3338227d'),
	(104, 13, 0, 1740787300000104, 1740873656000000, 73385473965566370, '01954f02-36a0-7000-8000-000000000068', 4, '{"headers":[["trace","0068"],["Überschrift","ja"]],"tags":["web","page-0"]}', '\x7b2270616765223a222f3339227d'),
	(105, 13, 0, 1740787300000105, 1740877256000000, 5299183336192583089, 'b27ce586-a510-5ced-9fc7-7929135c7826', 4, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 105 😀","user_id":"user-0 é","tags":["never"]}', '\x7b2270616765223a222f6f6e6365227d'),
	(106, 14, 1, 1740787300000106, 1740877256000000, 8658783029447992761, '01954f02-36a0-7000-8000-00000000006a', 4, NULL, '\x7b2270616765223a222f702f30227d'),
	(107, 15, 1, 1740787300000107, 1740877256000000, 5670813374413120956, '01954f02-36a0-7000-8000-00000000006b', 4, NULL, '\x7b2270616765223a222f702f31227d'),
	(108, 16, 1, 1740787300000108, 1740877256000000, 6317652611880035775, '01954f02-36a0-7000-8000-00000000006c', 4, '{"user_id":"user-3 é","headers":[["trace","006c"],["Überschrift","ja"]]}', '\x7b2270616765223a222f702f32227d'),
	(109, 17, 1, 1740787300000109, 1740877256000000, 6044007281093092802, '01954f02-36a0-7000-8000-00000000006d', 4, NULL, '\x7b2270616765223a222f702f33227d'),
	(110, 18, 1, 1740787310000110, 1740877256000000, 1212662463903671749, '01954f02-5db0-7000-8000-00000000006e', 4, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 110 😀"}', '\x7b2270616765223a222f702f34227d'),
	(111, 13, 0, 1740787310000111, 1740877256000000, 7722054360157234627, '01954f02-5db0-7000-8000-00000000006f', 5, '{"user_id":"user-1 é"}', '\x7b22746f223a22e284962030222c22666c6f6f72223a307d'),
	(112, 13, 0, 1740787310000112, 1740877256000000, 2195762703235917254, '46cb18f7-6c97-5553-bb03-7bc4c5595c88', 5, '{"headers":[["trace","0070"],["Überschrift","ja"]]}', '\x7b22746f223a22e284962031222c22666c6f6f72223a317d'),
	(113, 13, 0, 1740787310000113, 1740877256000000, 2129365562561504713, '01954f02-5db0-7000-8000-000000000071', 5, NULL, '\x7b22746f223a22e284962032222c22666c6f6f72223a327d'),
	(114, 19, 1, 1740787310000114, 1740877256000000, 8409090041928590801, '01954f02-5db0-7000-8000-000000000072', 1, '{"user_id":"user-4 é"}', '\x7b226f776e6572223a2274656e616e742030222c226174223a22323032352d30332d30315430303a30303a30305a222c2274616773223a5b5d7d'),
	(115, 19, 2, 1740787310000115, 1740877256000000, 1647707140198868441, '01954f02-5db0-7000-8000-000000000073', 2, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 115 😀"}', '\x7b22616d6f756e74223a2230222c226279223a6e756c6c7d'),
	(116, 20, 1, 1740787310000116, 1740877256000000, 968590772530947543, '01954f02-5db0-7000-8000-000000000074', 1, '{"headers":[["trace","0074"],["Überschrift","ja"]]}', '\x7b226f776e6572223a2274656e616e742031222c226174223a22323032352d30332d30315430303a30303a30305a222c2274616773223a5b5d7d'),
	(117, 20, 2, 1740787310000117, 1740877256000000, 7212437925490697695, '01954f02-5db0-7000-8000-000000000075', 2, '{"user_id":"user-2 é"}', '\x7b22616d6f756e74223a2231222c226279223a6e756c6c7d'),
	(118, 21, 1, 1740787310000118, 1740877256000000, 1891888299550549469, '01954f02-5db0-7000-8000-000000000076', 1, NULL, '\x7b226f776e6572223a2274656e616e742032222c226174223a22323032352d30332d30315430303a30303a30305a222c2274616773223a5b5d7d'),
	(119, 21, 2, 1740787310000119, 1740877256000000, 8392909231529764325, '3d7160f4-c772-53da-9a9e-9c33f82a894d', 2, NULL, '\x7b22616d6f756e74223a2232222c226279223a6e756c6c7d'),
	(120, 22, 1, 1740796200009001, 1740877316000000, 2395413425186821859, '01954f8a-0449-7000-8000-000000002329', 2, '{"correlation_id":"37b47be8-254c-545c-8b59-94682223b3a3","causation_id":"37b47be8-254c-545c-8b59-94682223b3a3"}', '\x7b22616d6f756e74223a2239302e3031222c226279223a6e756c6c7d'),
	(121, 23, 1, 1740796200009002, 1740877376000000, 5479319666348197862, '7938911a-c76e-536f-9ceb-47b9d8440c47', 2, '{"correlation_id":"78cc0741-41dd-5bd2-9493-eb5587aa56f2","causation_id":"78cc0741-41dd-5bd2-9493-eb5587aa56f2"}', '\x7b22616d6f756e74223a2239302e3032222c226279223a6e756c6c7d'),
	(122, 24, 1, 1740796200009003, 1740877436000000, 2684012389829425385, '01954f8a-0449-7000-8000-00000000232b', 2, '{"correlation_id":"8e9c2127-c06f-5143-8cd0-9316919949ec","causation_id":"8e9c2127-c06f-5143-8cd0-9316919949ec","user_id":"user-3 é"}', '\x7b22616d6f756e74223a2239302e3033222c226279223a6e756c6c7d'),
	(123, 22, 2, 1740796200009004, 1740877496000000, 2467958772003269105, '01954f8a-0449-7000-8000-00000000232c', 2, '{"correlation_id":"33d9e162-ca6a-5b51-9b2d-558552a8dc15","causation_id":"33d9e162-ca6a-5b51-9b2d-558552a8dc15","headers":[["trace","232c"],["Überschrift","ja"]]}', '\x7b22616d6f756e74223a2239302e3034222c226279223a6e756c6c7d'),
	(124, 23, 2, 1740796200009005, 1740877556000000, 953726603636579060, '01954f8a-0449-7000-8000-00000000232d', 2, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 9005 😀"}', '\x7b22616d6f756e74223a2239302e3035222c226279223a6e756c6c7d'),
	(125, 24, 2, 1740796200009006, 1740877616000000, 907012387966667768, '01954f8a-0449-7000-8000-00000000232e', 2, '{"correlation_id":"0126a77b-9c2e-5fa7-8a1d-6c8ad8a48d20","causation_id":"0126a77b-9c2e-5fa7-8a1d-6c8ad8a48d20","user_id":"user-1 é"}', '\x7b22616d6f756e74223a2239302e3036222c226279223a6e756c6c7d'),
	(126, 22, 3, 1740796200009007, 1740877676000000, 5873102404952161536, '01954f8a-0449-7000-8000-00000000232f', 2, '{"correlation_id":"6fee70b1-9a2f-5146-b1ad-a4584283cb07","causation_id":"6fee70b1-9a2f-5146-b1ad-a4584283cb07"}', '\x7b22616d6f756e74223a2239302e3037222c226279223a6e756c6c7d'),
	(127, 23, 3, 1740796200009008, 1740877736000000, 1217496414300614147, '01954f8a-0449-7000-8000-000000002330', 2, '{"correlation_id":"4620a820-791a-5d44-a1ca-e1a55a9055b1","causation_id":"4620a820-791a-5d44-a1ca-e1a55a9055b1","headers":[["trace","2330"],["Überschrift","ja"]]}', '\x7b22616d6f756e74223a2239302e3038222c226279223a6e756c6c7d'),
	(128, 24, 3, 1740796200009009, 1740877796000000, 6965003877653143302, 'ffd9aefd-5264-5768-8135-77942ebca8fc', 2, '{"correlation_id":"dd5ae867-fece-5c3c-bef3-558d08ed45b5","causation_id":"dd5ae867-fece-5c3c-bef3-558d08ed45b5","user_id":"user-4 é"}', '\x7b22616d6f756e74223a2239302e3039222c226279223a6e756c6c7d'),
	(129, 22, 4, 1740796210009010, 1740877856000000, 3124799612138065934, '01954f8a-2b59-7000-8000-000000002332', 2, '{"correlation_id":"d790582f-2927-5b82-b758-fb828dbf0e41","causation_id":"cause 9010 😀"}', '\x7b22616d6f756e74223a2239302e31222c226279223a6e756c6c7d');
-- Data for Name: events_record_index; Type: TABLE DATA; Schema: golden_schema; Owner: -
INSERT INTO golden_schema.events_record_index VALUES
	('', 'snapshot', 'kind', 2, 0, 0, '\x35333961643266356630623332393436376664356561373364623264383339662f3230633633306363333736343034363035616437316464663464356139653862', 'a14c2f4dd98a7e201421e1f31bf4c2ea/1'),
	('', 'snapshot', 'of', 2, 0, 0, '\x61313463326634646439386137653230313432316531663331626634633265612f3030303030303030303030303030303030303033', 'a14c2f4dd98a7e201421e1f31bf4c2ea/1'),
	('', 'snapshot', 'kind', 2, 0, 0, '\x35333961643266356630623332393436376664356561373364623264383339662f3230633633306363333736343034363035616437316464663464356139653862', '02bc6e972c88f15a53a655b03e0b2522/1'),
	('', 'snapshot', 'of', 2, 0, 0, '\x30326263366539373263383866313561353361363535623033653062323532322f3030303030303030303030303030303030303034', '02bc6e972c88f15a53a655b03e0b2522/1'),
	('', 'snapshot', 'kind', 2, 0, 0, '\x35333961643266356630623332393436376664356561373364623264383339662f3230633633306363333736343034363035616437316464663464356139653862', '7c67cec7122cc8471ff5903deda9364f/1'),
	('', 'snapshot', 'of', 2, 0, 0, '\x37633637636563373132326363383437316666353930336465646139333634662f3030303030303030303030303030303030303035', '7c67cec7122cc8471ff5903deda9364f/1'),
	('', 'snapshot', 'kind', 2, 0, 0, '\x35333961643266356630623332393436376664356561373364623264383339662f3230633633306363333736343034363035616437316464663464356139653862', '6d6f2794427f18e4f47275951dbbfd41/1'),
	('', 'snapshot', 'of', 2, 0, 0, '\x36643666323739343432376631386534663437323735393531646262666434312f3030303030303030303030303030303030303033', '6d6f2794427f18e4f47275951dbbfd41/1'),
	('', 'snapshot', 'kind', 2, 0, 0, '\x35333961643266356630623332393436376664356561373364623264383339662f3230633633306363333736343034363035616437316464663464356139653862', 'd56160a0741c4a844c24eb24d1ead1e9/1'),
	('', 'snapshot', 'of', 2, 0, 0, '\x64353631363061303734316334613834346332346562323464316561643165392f3030303030303030303030303030303030303034', 'd56160a0741c4a844c24eb24d1ead1e9/1'),
	('', 'snapshot', 'kind', 2, 0, 0, '\x35333961643266356630623332393436376664356561373364623264383339662f3230633633306363333736343034363035616437316464663464356139653862', '9ed0fb5c8db2a5bfaeac97b27d9dd863/1'),
	('', 'snapshot', 'of', 2, 0, 0, '\x39656430666235633864623261356266616561633937623237643964643836332f3030303030303030303030303030303030303035', '9ed0fb5c8db2a5bfaeac97b27d9dd863/1'),
	('', 'snapshot', 'kind', 2, 0, 0, '\x66653932313338396264613239363761393336303964303136666132353636352f3138376230353663366536376134383064633531356663316439633733663737', '0c62d387cde20d9dae639e5ccbb35a6a/1'),
	('', 'snapshot', 'of', 2, 0, 0, '\x30633632643338376364653230643964616536333965356363626233356136612f3030303030303030303030303030303030303039', '0c62d387cde20d9dae639e5ccbb35a6a/1'),
	('', 'snapshot', 'kind', 2, 0, 0, '\x66653932313338396264613239363761393336303964303136666132353636352f3138376230353663366536376134383064633531356663316439633733663737', '27a8107c158244d3a2462d7f8f5d9dfa/1'),
	('', 'snapshot', 'of', 2, 0, 0, '\x32376138313037633135383234346433613234363264376638663564396466612f3030303030303030303030303030303030303039', '27a8107c158244d3a2462d7f8f5d9dfa/1'),
	('', 'snapshot', 'kind', 2, 0, 0, '\x66653932313338396264613239363761393336303964303136666132353636352f3138376230353663366536376134383064633531356663316439633733663737', '388403e52af5d547394859a2f97a6448/1'),
	('', 'snapshot', 'of', 2, 0, 0, '\x33383834303365353261663564353437333934383539613266393761363434382f3030303030303030303030303030303030303039', '388403e52af5d547394859a2f97a6448/1'),
	('', 'snapshot', 'kind', 2, 0, 0, '\x66653932313338396264613239363761393336303964303136666132353636352f3138376230353663366536376134383064633531356663316439633733663737', '5e2b5395484e6380088f6ada24a6f4d6/1'),
	('', 'snapshot', 'of', 2, 0, 0, '\x35653262353339353438346536333830303838663661646132346136663464362f3030303030303030303030303030303030303039', '5e2b5395484e6380088f6ada24a6f4d6/1'),
	('', 'snapshot', 'kind', 2, 0, 0, '\x35333961643266356630623332393436376664356561373364623264383339662f3230633633306363333736343034363035616437316464663464356139653862', 'e1cf3dca11d3d437a7b93de605bce543/1'),
	('', 'snapshot', 'of', 2, 0, 0, '\x65316366336463613131643364343337613762393364653630356263653534332f3030303030303030303030303030303030303033', 'e1cf3dca11d3d437a7b93de605bce543/1'),
	('', 'snapshot', 'kind', 2, 0, 0, '\x35333961643266356630623332393436376664356561373364623264383339662f3230633633306363333736343034363035616437316464663464356139653862', 'e38496c2858a31cae18afa64bdf39767/1'),
	('', 'snapshot', 'of', 2, 0, 0, '\x65333834393663323835386133316361653138616661363462646633393736372f3030303030303030303030303030303030303033', 'e38496c2858a31cae18afa64bdf39767/1'),
	('', 'golden_balances@1/golden_balance', 'owner', 2, 0, 0, '\x416461', 'account 0 Ada'),
	('', 'golden_balances@1/golden_balance', 'owner', 2, 0, 0, '\x5a6fc3ab', 'account 1 Zoë'),
	('', 'golden_balances@1/golden_balance', 'owner', 2, 0, 0, '\x5a6f65cc88', 'account 2 Zoë'),
	('', 'golden_balances@1/golden_balance', 'owner', 2, 0, 0, '\xcea96d65676120f09d9498f09d94abf09d94a6f09d94a0f09d94acf09d94a1f09d94a2', 'account 3 Ωmega 𝔘𝔫𝔦𝔠𝔬𝔡𝔢'),
	('', 'golden_balances@1/golden_balance', 'owner', 2, 0, 0, '\x71756f74656420225c2220616e64202f200020e280a8', 'account 4 quoted "\" and'),
	('', 'golden_balances@1/golden_balance', 'owner', 2, 0, 0, '\xf09f91a9e2808df09f91a9e2808df09f91a72066616d696c79', 'account 5 👩‍👩‍👧 family'),
	('', 'golden_balances@1/golden_balance', 'owner', 2, 0, 0, '\xefb7ba20726967687420746f206c656674', 'account 6 ﷺ right to left'),
	('', 'golden_balances@1/golden_balance', 'owner', 2, 0, 0, '\x787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878', 'account 7 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'),
	('', 'golden_balances@1/golden_balance', 'owner', 2, 0, 0, '\x', 'paid-0'),
	('', 'golden_balances@1/golden_balance', 'owner', 2, 0, 0, '\x', 'paid-1'),
	('', 'golden_balances@1/golden_balance', 'owner', 2, 0, 0, '\x', 'paid-2'),
	('', 'snapshot', 'kind', 2, 0, 0, '\x35333961643266356630623332393436376664356561373364623264383339662f3230633633306363333736343034363035616437316464663464356139653862', 'e1e2f4b74b84f83f58b933eaee7db794/1'),
	('', 'snapshot', 'of', 2, 0, 0, '\x65316532663462373462383466383366353862393333656165653764623739342f3030303030303030303030303030303030303033', 'e1e2f4b74b84f83f58b933eaee7db794/1');
-- Data for Name: events_records; Type: TABLE DATA; Schema: golden_schema; Owner: -
INSERT INTO golden_schema.events_records VALUES
	('', 'snapshot', 'a14c2f4dd98a7e201421e1f31bf4c2ea/1', 1, '01a229b7-69c5-7d0f-812c-ef016c0b4116', 1772323221000000, '\x7b226c61796f7574223a312c2276657273696f6e223a223030303030303030303030303030303030303033222c227772697474656e5f6174223a313734303738373232313030303030302c2273747265616d223a5b22476f6c64656e4163636f756e74222c226163636f756e742031205a6fc3ab225d2c2266696e6765727072696e74223a223230633633306363333736343034363035616437316464663464356139653862222c226576656e745f6964223a2230313935346630302d623030302d373030302d383030302d303030303030303030303035222c22706f736974696f6e223a352c227265636f726465645f6174223a313734303738373230373030303030302c22736574223a5b2262616c616e6365222c226964222c226f70656e65645f6174222c226f776e6572225d7d0a7b226964223a226163636f756e742031205a6fc3ab222c2276657273696f6e223a332c226f776e6572223a225a6fc3ab222c226f70656e65645f6174223a22323032352d30312d30325431323a33303a31352e3132333435362d30323a3330222c2262616c616e6365223a22313030302e3130222c22706179657273223a5b2234323163623965642d633165302d353361352d616135372d313963626137383835656262225d7d0a3931373535626639633034623535396331343734316232376531376263613039', NULL, NULL),
	('', 'snapshot', '02bc6e972c88f15a53a655b03e0b2522/1', 1, '01a229b7-69eb-75a5-8712-18b95d0a764a', 1772323228000000, '\x7b226c61796f7574223a312c2276657273696f6e223a223030303030303030303030303030303030303034222c227772697474656e5f6174223a313734303738373232383030303030302c2273747265616d223a5b22476f6c64656e4163636f756e74222c226163636f756e742032205a6f65cc88225d2c2266696e6765727072696e74223a223230633633306363333736343034363035616437316464663464356139653862222c226576656e745f6964223a2230313935346630302d623030302d373030302d383030302d303030303030303030303039222c22706f736974696f6e223a392c227265636f726465645f6174223a313734303738373231343030303030302c22736574223a5b2262616c616e6365222c226964222c226f70656e65645f6174222c226f776e6572225d7d0a7b226964223a226163636f756e742032205a6f65cc88222c2276657273696f6e223a342c226f776e6572223a225a6f65cc88222c226f70656e65645f6174223a22323032352d30312d30335431323a33303a31352e3132333435362d30313a3330222c2262616c616e6365223a22313030302e3130222c22706179657273223a5b2236393661386534362d613733622d356366342d393532322d313837633336326132353634225d7d0a3731363837626666653064306131303231366462393663616237393166376435', NULL, NULL),
	('', 'snapshot', '7c67cec7122cc8471ff5903deda9364f/1', 1, '01a229b7-6a24-73e6-8fd8-bc529530ecb3', 1772323242000000, '\x7b226c61796f7574223a312c2276657273696f6e223a223030303030303030303030303030303030303035222c227772697474656e5f6174223a313734303738373234323030303030302c2273747265616d223a5b22476f6c64656e4163636f756e74222c226163636f756e74203320cea96d65676120f09d9498f09d94abf09d94a6f09d94a0f09d94acf09d94a1f09d94a2225d2c2266696e6765727072696e74223a223230633633306363333736343034363035616437316464663464356139653862222c226576656e745f6964223a2234373566663531622d653632622d353133312d616233622d333166383062303061633732222c22706f736974696f6e223a31342c227265636f726465645f6174223a313734303738373232313030303030302c22736574223a5b2262616c616e6365222c226964222c226f70656e65645f6174222c226f776e6572225d7d0a7b226964223a226163636f756e74203320cea96d65676120f09d9498f09d94abf09d94a6f09d94a0f09d94acf09d94a1f09d94a2222c2276657273696f6e223a352c226f776e6572223a22cea96d65676120f09d9498f09d94abf09d94a6f09d94a0f09d94acf09d94a1f09d94a2222c226f70656e65645f6174223a22323032352d30312d30345431323a33303a31352e3132333435362d30303a3330222c2262616c616e6365223a2231323334353637383930313233343536383839302e3232333435363739222c22706179657273223a5b2262333762336335342d336466332d353964392d623933662d643631623462383963643235225d7d0a3135356233626434316630343264643838313236333130383239393939363331', NULL, NULL),
	('', 'snapshot', '6d6f2794427f18e4f47275951dbbfd41/1', 1, '01a229b7-6a4f-76a5-bc12-2807cdaaf56f', 1772323256000000, '\x7b226c61796f7574223a312c2276657273696f6e223a223030303030303030303030303030303030303033222c227772697474656e5f6174223a313734303738373235363030303030302c2273747265616d223a5b22476f6c64656e4163636f756e74222c226163636f756e74203520f09f91a9e2808df09f91a9e2808df09f91a72066616d696c79225d2c2266696e6765727072696e74223a223230633633306363333736343034363035616437316464663464356139653862222c226576656e745f6964223a2230313935346630302d643731302d373030302d383030302d303030303030303030303133222c22706f736974696f6e223a31392c227265636f726465645f6174223a313734303738373233353030303030302c22736574223a5b2262616c616e6365222c226964222c226f70656e65645f6174222c226f776e6572225d7d0a7b226964223a226163636f756e74203520f09f91a9e2808df09f91a9e2808df09f91a72066616d696c79222c2276657273696f6e223a332c226f776e6572223a22f09f91a9e2808df09f91a9e2808df09f91a72066616d696c79222c226f70656e65645f6174223a22323032352d30312d30365431323a33303a31352e3132333435362b30313a3330222c2262616c616e6365223a22313030302e3130222c22706179657273223a5b2239356565633532382d646330362d353034662d383966622d383237656565343132653836225d7d0a3238633431333665336539646261306339626336343164306364313730643565', NULL, NULL),
	('', 'snapshot', 'd56160a0741c4a844c24eb24d1ead1e9/1', 1, '01a229b7-6a50-7ed6-bf43-9ce1f5f2d6c3', 1772323256000000, '\x7b226c61796f7574223a312c2276657273696f6e223a223030303030303030303030303030303030303034222c227772697474656e5f6174223a313734303738373235363030303030302c2273747265616d223a5b22476f6c64656e4163636f756e74222c226163636f756e74203620efb7ba20726967687420746f206c656674225d2c2266696e6765727072696e74223a223230633633306363333736343034363035616437316464663464356139653862222c226576656e745f6964223a2230313935346630302d666532302d373030302d383030302d303030303030303030303137222c22706f736974696f6e223a32332c227265636f726465645f6174223a313734303738373234323030303030302c22736574223a5b2262616c616e6365222c226964222c226f70656e65645f6174222c226f776e6572225d7d0a7b226964223a226163636f756e74203620efb7ba20726967687420746f206c656674222c2276657273696f6e223a342c226f776e6572223a22efb7ba20726967687420746f206c656674222c226f70656e65645f6174223a22323032352d30312d30375431323a33303a31352e3132333435362b30323a3330222c2262616c616e6365223a22313030302e3130222c22706179657273223a5b2236616561326435312d373330302d353434392d396366382d323934613839663863313838225d7d0a6130393766383266356236306264333862616335343038346435313439613133', NULL, NULL),
	('', 'tracking', 'golden upstream', 1, 'b27ce586-a510-5ced-9fc7-7929135c7826', NULL, '\x3030303030303030303030303030303030303737', NULL, NULL),
	('', 'snapshot', '9ed0fb5c8db2a5bfaeac97b27d9dd863/1', 1, '01a229b7-6adc-7007-b4cc-a5b5ad2fb2cc', 1772413256000000, '\x7b226c61796f7574223a312c2276657273696f6e223a223030303030303030303030303030303030303035222c227772697474656e5f6174223a313734303837373235363030303030302c2273747265616d223a5b22476f6c64656e4163636f756e74222c226163636f756e742037207878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878225d2c2266696e6765727072696e74223a223230633633306363333736343034363035616437316464663464356139653862222c226576656e745f6964223a2265363830613264662d653933612d353763342d616639382d336562633661343131343735222c22706f736974696f6e223a32382c227265636f726465645f6174223a313734303738373234393030303030302c22736574223a5b2262616c616e6365222c226964222c226f70656e65645f6174222c226f776e6572225d7d0a7b226964223a226163636f756e742037207878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878222c2276657273696f6e223a352c226f776e6572223a22787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878222c226f70656e65645f6174223a22323032352d30312d30385431323a33303a31352e3132333435362b30333a3330222c2262616c616e6365223a2231323334353637383930313233343536383839302e3232333435363739222c22706179657273223a5b2266646130333237662d346665352d353162302d626236302d643566353962363061613034225d7d0a3430363264393361663161303465346338326537663730663165376134383161', NULL, NULL),
	('', 'snapshot', '0c62d387cde20d9dae639e5ccbb35a6a/1', 1, '01a229b7-6b08-7f5b-8768-52fe3e3636a1', 1772413256000000, '\x7b226c61796f7574223a312c2276657273696f6e223a223030303030303030303030303030303030303039222c227772697474656e5f6174223a313734303837373235363030303030302c2273747265616d223a5b22476f6c64656e4261736b6574222c22622d32225d2c2266696e6765727072696e74223a223138376230353663366536376134383064633531356663316439633733663737222c226576656e745f6964223a2230313935346630312d373335302d373030302d383030302d303030303030303030303337222c22706f736974696f6e223a35352c227265636f726465645f6174223a313734303738373235363030303030302c22736574223a5b226964222c22776569676874225d7d0a7b226964223a22622d32222c2276657273696f6e223a392c226974656d73223a7b226974656d2030223a5b302c302c313039393531313632373737365d2c22223a5b5d2c226974656d2031223a5b312c2d312c313039393531313632373737375d2c226974656d2032223a5b322c2d322c313039393531313632373737385d2c226974656d2033223a5b332c2d332c313039393531313632373737395d2c226974656d2034223a5b342c2d342c313039393531313632373738305d2c226974656d2035223a5b352c2d352c313039393531313632373738315d2c226974656d2036223a5b362c2d362c313039393531313632373738325d2c226974656d2037223a5b372c2d372c313039393531313632373738335d2c226974656d2038223a5b382c2d382c313039393531313632373738345d7d2c22776569676874223a32652b3330302c226e6f746573223a5b22416461222c6e756c6c2c225a6f65cc88222c6e756c6c2c2271756f746564205c225c5c5c2220616e64202f205c753030303020e280a8222c6e756c6c2c22efb7ba20726967687420746f206c656674222c6e756c6c2c22416461225d7d0a3138333163663165353464376164303131333062393839373831316237633061', NULL, NULL),
	('', 'snapshot', '27a8107c158244d3a2462d7f8f5d9dfa/1', 1, '01a229b7-6b09-794c-8521-8aec3980efad', 1772413256000000, '\x7b226c61796f7574223a312c2276657273696f6e223a223030303030303030303030303030303030303039222c227772697474656e5f6174223a313734303837373235363030303030302c2273747265616d223a5b22476f6c64656e4261736b6574222c22622d30225d2c2266696e6765727072696e74223a223138376230353663366536376134383064633531356663316439633733663737222c226576656e745f6964223a2230313935346630312d323533302d373030302d383030302d303030303030303030303235222c22706f736974696f6e223a33372c227265636f726465645f6174223a313734303738373235363030303030302c22736574223a5b226964222c22776569676874225d7d0a7b226964223a22622d30222c2276657273696f6e223a392c226974656d73223a7b226974656d2030223a5b302c302c313039393531313632373737365d2c22223a5b5d2c226974656d2031223a5b312c2d312c313039393531313632373737375d2c226974656d2032223a5b322c2d322c313039393531313632373737385d2c226974656d2033223a5b332c2d332c313039393531313632373737395d2c226974656d2034223a5b342c2d342c313039393531313632373738305d2c226974656d2035223a5b352c2d352c313039393531313632373738315d2c226974656d2036223a5b362c2d362c313039393531313632373738325d2c226974656d2037223a5b372c2d372c313039393531313632373738335d2c226974656d2038223a5b382c2d382c313039393531313632373738345d7d2c22776569676874223a32652b3330302c226e6f746573223a5b22416461222c6e756c6c2c225a6f65cc88222c6e756c6c2c2271756f746564205c225c5c5c2220616e64202f205c753030303020e280a8222c6e756c6c2c22efb7ba20726967687420746f206c656674222c6e756c6c2c22416461225d7d0a3632306132356135396437663662383039636162656462356231363731363737', NULL, NULL),
	('', 'snapshot', '388403e52af5d547394859a2f97a6448/1', 1, '01a229b7-6b08-7f50-90d8-9b39b1138790', 1772413256000000, '\x7b226c61796f7574223a312c2276657273696f6e223a223030303030303030303030303030303030303039222c227772697474656e5f6174223a313734303837373235363030303030302c2273747265616d223a5b22476f6c64656e4261736b6574222c22622d33225d2c2266696e6765727072696e74223a223138376230353663366536376134383064633531356663316439633733663737222c226576656e745f6964223a2230313935346630312d396136302d373030302d383030302d303030303030303030303430222c22706f736974696f6e223a36342c227265636f726465645f6174223a313734303738373235363030303030302c22736574223a5b226964222c22776569676874225d7d0a7b226964223a22622d33222c2276657273696f6e223a392c226974656d73223a7b226974656d2030223a5b302c302c313039393531313632373737365d2c22223a5b5d2c226974656d2031223a5b312c2d312c313039393531313632373737375d2c226974656d2032223a5b322c2d322c313039393531313632373737385d2c226974656d2033223a5b332c2d332c313039393531313632373737395d2c226974656d2034223a5b342c2d342c313039393531313632373738305d2c226974656d2035223a5b352c2d352c313039393531313632373738315d2c226974656d2036223a5b362c2d362c313039393531313632373738325d2c226974656d2037223a5b372c2d372c313039393531313632373738335d2c226974656d2038223a5b382c2d382c313039393531313632373738345d7d2c22776569676874223a32652b3330302c226e6f746573223a5b22416461222c6e756c6c2c225a6f65cc88222c6e756c6c2c2271756f746564205c225c5c5c2220616e64202f205c753030303020e280a8222c6e756c6c2c22efb7ba20726967687420746f206c656674222c6e756c6c2c22416461225d7d0a3537653864326639626162343766623538333030363361313836313939343738', NULL, NULL),
	('', 'snapshot', '5e2b5395484e6380088f6ada24a6f4d6/1', 1, '01a229b7-6b07-7a74-acb2-1977e0a267ea', 1772413256000000, '\x7b226c61796f7574223a312c2276657273696f6e223a223030303030303030303030303030303030303039222c227772697474656e5f6174223a313734303837373235363030303030302c2273747265616d223a5b22476f6c64656e4261736b6574222c22622d31225d2c2266696e6765727072696e74223a223138376230353663366536376134383064633531356663316439633733663737222c226576656e745f6964223a2230313935346630312d346334302d373030302d383030302d303030303030303030303265222c22706f736974696f6e223a34362c227265636f726465645f6174223a313734303738373235363030303030302c22736574223a5b226964222c22776569676874225d7d0a7b226964223a22622d31222c2276657273696f6e223a392c226974656d73223a7b226974656d2030223a5b302c302c313039393531313632373737365d2c22223a5b5d2c226974656d2031223a5b312c2d312c313039393531313632373737375d2c226974656d2032223a5b322c2d322c313039393531313632373737385d2c226974656d2033223a5b332c2d332c313039393531313632373737395d2c226974656d2034223a5b342c2d342c313039393531313632373738305d2c226974656d2035223a5b352c2d352c313039393531313632373738315d2c226974656d2036223a5b362c2d362c313039393531313632373738325d2c226974656d2037223a5b372c2d372c313039393531313632373738335d2c226974656d2038223a5b382c2d382c313039393531313632373738345d7d2c22776569676874223a32652b3330302c226e6f746573223a5b22416461222c6e756c6c2c225a6f65cc88222c6e756c6c2c2271756f746564205c225c5c5c2220616e64202f205c753030303020e280a8222c6e756c6c2c22efb7ba20726967687420746f206c656674222c6e756c6c2c22416461225d7d0a6664393234336437393534343363313735663036636135613137643739353037', NULL, NULL),
	('', 'command answer', '37b47be8-254c-545c-8b59-94682223b3a3', 1, '01954f8a-0449-7000-8000-000000002329', 1741482116000000, '\x7b22646967657374223a2264363339633936393966333664633061363066656161343136313263633663393835303264303431363631366463633031313134343131376531646236306430222c22616e73776572223a225c2239302e30315c22222c226576656e74223a5b2230313935346638612d303434392d373030302d383030302d303030303030303032333239222c22476f6c64656e4163636f756e74222c22706169642d31222c315d7d', NULL, NULL),
	('', 'command answer', '78cc0741-41dd-5bd2-9493-eb5587aa56f2', 1, '7938911a-c76e-536f-9ceb-47b9d8440c47', 1741482176000000, '\x7b22646967657374223a2235373764326362376637613362323337373630306233646466356633313161313666383035393062323662653333623764646639643034393734353837393131222c22616e73776572223a225c2239302e30325c22222c226576656e74223a5b2237393338393131612d633736652d353336662d396365622d343762396438343430633437222c22476f6c64656e4163636f756e74222c22706169642d32222c315d7d', NULL, NULL),
	('', 'command answer', '8e9c2127-c06f-5143-8cd0-9316919949ec', 1, '01954f8a-0449-7000-8000-00000000232b', 1741482236000000, '\x7b22646967657374223a2235326161383033393464633632393034343332336139333031366634313637356366333265343366323938313136336338383462333538386562643132393535222c22616e73776572223a225c2239302e30335c22222c226576656e74223a5b2230313935346638612d303434392d373030302d383030302d303030303030303032333262222c22476f6c64656e4163636f756e74222c22706169642d30222c315d7d', NULL, NULL),
	('', 'command answer', '33d9e162-ca6a-5b51-9b2d-558552a8dc15', 1, '01954f8a-0449-7000-8000-00000000232c', 1741482296000000, '\x7b22646967657374223a2263653939643134653433633163373233303261363861323236626262313133383438623761633834613337666166383832336636646261623863363831396235222c22616e73776572223a225c223138302e30355c22222c226576656e74223a5b2230313935346638612d303434392d373030302d383030302d303030303030303032333263222c22476f6c64656e4163636f756e74222c22706169642d31222c325d7d', NULL, NULL),
	('', 'command answer', '1b581906-d6cb-5b69-9f5e-f613a4a99aa8', 1, '01954f8a-0449-7000-8000-00000000232d', 1741482356000000, '\x7b22646967657374223a2262613565303464363034643663363762336237653066643934336334613337353238616164646262323961343331303632613232323834386232313133376263222c22616e73776572223a225c223138302e30375c22222c226576656e74223a5b2230313935346638612d303434392d373030302d383030302d303030303030303032333264222c22476f6c64656e4163636f756e74222c22706169642d32222c325d7d', NULL, NULL),
	('', 'command answer', '0126a77b-9c2e-5fa7-8a1d-6c8ad8a48d20', 1, '01954f8a-0449-7000-8000-00000000232e', 1741482416000000, '\x7b22646967657374223a2238316262383337323764326639646665306166386463646537363864313466666664633539643634363462643237653730363230666430353334616331373065222c22616e73776572223a225c223138302e30395c22222c226576656e74223a5b2230313935346638612d303434392d373030302d383030302d303030303030303032333265222c22476f6c64656e4163636f756e74222c22706169642d30222c325d7d', NULL, NULL),
	('', 'command answer', '6fee70b1-9a2f-5146-b1ad-a4584283cb07', 1, '01954f8a-0449-7000-8000-00000000232f', 1741482476000000, '\x7b22646967657374223a2239323663326630666130633463656330383531316465363466666434323636386435363362623533643162663534383761303232663364633033646137333836222c22616e73776572223a225c223237302e31325c22222c226576656e74223a5b2230313935346638612d303434392d373030302d383030302d303030303030303032333266222c22476f6c64656e4163636f756e74222c22706169642d31222c335d7d', NULL, NULL),
	('', 'command answer', '4620a820-791a-5d44-a1ca-e1a55a9055b1', 1, '01954f8a-0449-7000-8000-000000002330', 1741482536000000, '\x7b22646967657374223a2230363430326439366630316235326434303130613063336266643362613465623838636331613533663236663230626330303038633338343664623734396134222c22616e73776572223a225c223237302e31355c22222c226576656e74223a5b2230313935346638612d303434392d373030302d383030302d303030303030303032333330222c22476f6c64656e4163636f756e74222c22706169642d32222c335d7d', NULL, NULL),
	('', 'command answer', 'dd5ae867-fece-5c3c-bef3-558d08ed45b5', 1, 'ffd9aefd-5264-5768-8135-77942ebca8fc', 1741482596000000, '\x7b22646967657374223a2264653037316439386431366438363432386434313837613761616533356436636565353364363239363866643839383761323162626364373231613439363862222c22616e73776572223a225c223237302e31385c22222c226576656e74223a5b2266666439616566642d353236342d353736382d383133352d373739343265626361386663222c22476f6c64656e4163636f756e74222c22706169642d30222c335d7d', NULL, NULL),
	('', 'snapshot', 'e1cf3dca11d3d437a7b93de605bce543/1', 1, '01a229b7-6bad-7edd-b8ba-669770f8e04d', 1772413796000000, '\x7b226c61796f7574223a312c2276657273696f6e223a223030303030303030303030303030303030303033222c227772697474656e5f6174223a313734303837373739363030303030302c2273747265616d223a5b22476f6c64656e4163636f756e74222c22706169642d31225d2c2266696e6765727072696e74223a223230633633306363333736343034363035616437316464663464356139653862222c226576656e745f6964223a2230313935346638612d303434392d373030302d383030302d303030303030303032333266222c22706f736974696f6e223a3132362c227265636f726465645f6174223a313734303837373637363030303030302c22736574223a5b2262616c616e6365222c226964225d7d0a7b226964223a22706169642d31222c2276657273696f6e223a332c226f776e6572223a22222c226f70656e65645f6174223a6e756c6c2c2262616c616e6365223a223237302e3132222c22706179657273223a5b5d7d0a3238356463343235393630613965313139383664343430306132626461306333', NULL, NULL),
	('', 'command answer', '931dd30d-80ab-5f1a-b7bc-4791d8370564', 1, '01954f8a-2b59-7000-8000-000000002332', 1741482656000000, '\x7b22646967657374223a2231333465396631373764316235323064376234386237623163303161636132323931616134613638323562656363393237343035353430343166636661346466222c22616e73776572223a225c223336302e32325c22222c226576656e74223a5b2230313935346638612d326235392d373030302d383030302d303030303030303032333332222c22476f6c64656e4163636f756e74222c22706169642d31222c345d7d', NULL, NULL),
	('', 'snapshot', 'e38496c2858a31cae18afa64bdf39767/1', 1, '01a229b7-6bef-79fe-ad4e-347e547f9ba0', 1772413856000000, '\x7b226c61796f7574223a312c2276657273696f6e223a223030303030303030303030303030303030303033222c227772697474656e5f6174223a313734303837373835363030303030302c2273747265616d223a5b22476f6c64656e4163636f756e74222c22706169642d32225d2c2266696e6765727072696e74223a223230633633306363333736343034363035616437316464663464356139653862222c226576656e745f6964223a2230313935346638612d303434392d373030302d383030302d303030303030303032333330222c22706f736974696f6e223a3132372c227265636f726465645f6174223a313734303837373733363030303030302c22736574223a5b2262616c616e6365222c226964225d7d0a7b226964223a22706169642d32222c2276657273696f6e223a332c226f776e6572223a22222c226f70656e65645f6174223a6e756c6c2c2262616c616e6365223a223237302e3135222c22706179657273223a5b5d7d0a6530653563373535393136376235633937353835323134333735353137316264', NULL, NULL),
	('', 'projection', 'golden_balances', 1, '01a229b7-6bfc-7544-9d88-e24db1963283', NULL, '\x7b226c697665223a7b226e756d626572223a312c2276657273696f6e223a312c226d6f64656c73223a5b22676f6c64656e5f62616c616e6365225d2c226b696e64223a22646f63756d656e7473227d2c226275696c64696e67223a6e756c6c2c226c656176696e67223a5b5d2c226c617374223a317d', NULL, NULL),
	('', 'read model', 'golden_balance', 1, '01a229b7-6bfc-7544-9d88-e24db1963283', NULL, '\x7b2270726f6a656374696f6e223a22676f6c64656e5f62616c616e636573222c2267656e65726174696f6e223a317d', NULL, NULL),
	('', 'golden_balances@1/golden_balance', 'account 0 Ada', 1, '01a229b7-6c41-7736-91b4-904db1ac9101', NULL, '\x7b226f776e6572223a22416461222c2262616c616e6365223a22302e3130227d', NULL, NULL),
	('', 'golden_balances@1/golden_balance', 'account 1 Zoë', 1, '01a229b7-6c41-7736-91b4-904db1ac9101', NULL, '\x7b226f776e6572223a225a6fc3ab222c2262616c616e6365223a22313030302e3130227d', NULL, NULL),
	('', 'golden_balances@1/golden_balance', 'account 2 Zoë', 1, '01a229b7-6c41-7736-91b4-904db1ac9101', NULL, '\x7b226f776e6572223a225a6f65cc88222c2262616c616e6365223a22313030302e3130227d', NULL, NULL),
	('', 'golden_balances@1/golden_balance', 'account 3 Ωmega 𝔘𝔫𝔦𝔠𝔬𝔡𝔢', 1, '01a229b7-6c41-7736-91b4-904db1ac9101', NULL, '\x7b226f776e6572223a22cea96d65676120f09d9498f09d94abf09d94a6f09d94a0f09d94acf09d94a1f09d94a2222c2262616c616e6365223a2231323334353637383930313233343536383839302e3232333435363739227d', NULL, NULL),
	('', 'golden_balances@1/golden_balance', 'account 4 quoted "\" and', 1, '01a229b7-6c41-7736-91b4-904db1ac9101', NULL, '\x7b226f776e6572223a2271756f746564205c225c5c5c2220616e64202f205c753030303020e280a8222c2262616c616e6365223a22302e3130227d', NULL, NULL),
	('', 'golden_balances@1/golden_balance', 'account 5 👩‍👩‍👧 family', 1, '01a229b7-6c41-7736-91b4-904db1ac9101', NULL, '\x7b226f776e6572223a22f09f91a9e2808df09f91a9e2808df09f91a72066616d696c79222c2262616c616e6365223a22313030302e3130227d', NULL, NULL),
	('', 'golden_balances@1/golden_balance', 'account 6 ﷺ right to left', 1, '01a229b7-6c41-7736-91b4-904db1ac9101', NULL, '\x7b226f776e6572223a22efb7ba20726967687420746f206c656674222c2262616c616e6365223a22313030302e3130227d', NULL, NULL),
	('', 'golden_balances@1/golden_balance', 'account 7 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', 1, '01a229b7-6c41-7736-91b4-904db1ac9101', NULL, '\x7b226f776e6572223a22787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878222c2262616c616e6365223a2231323334353637383930313233343536383839302e3232333435363739227d', NULL, NULL),
	('', 'golden_balances@1/golden_balance', 'paid-0', 1, '01a229b7-6c41-7736-91b4-904db1ac9101', NULL, '\x7b226f776e6572223a22222c2262616c616e6365223a223237302e3138227d', NULL, NULL),
	('', 'golden_balances@1/golden_balance', 'paid-1', 1, '01a229b7-6c41-7736-91b4-904db1ac9101', NULL, '\x7b226f776e6572223a22222c2262616c616e6365223a223336302e3232227d', NULL, NULL),
	('', 'golden_balances@1/golden_balance', 'paid-2', 1, '01a229b7-6c41-7736-91b4-904db1ac9101', NULL, '\x7b226f776e6572223a22222c2262616c616e6365223a223237302e3135227d', NULL, NULL),
	('', 'golden_balances@1', 'cursor', 3, '01a229b7-6c41-7736-91b4-904db1ac9101', NULL, '\x7b22706f736974696f6e223a3132392c226c617374223a5b3132392c2230313935346638612d326235392d373030302d383030302d303030303030303032333332225d2c22617474656d707473223a307d', NULL, NULL),
	('', 'checkpoint', 'golden follower', 1, '01a229b7-6c4e-712b-90bd-36a6085e4480', NULL, '\x7b22706f736974696f6e223a2032302c20226576656e745f6964223a202230313935346630302d666532302d373030302d383030302d303030303030303030303134222c20227772697474656e5f6174223a20313739353939363231363339383733337d', NULL, NULL),
	('', 'snapshot', 'e1e2f4b74b84f83f58b933eaee7db794/1', 1, '01a229b7-6c93-7ccf-80c6-0648605ce02b', 1772413856000000, '\x7b226c61796f7574223a312c2276657273696f6e223a223030303030303030303030303030303030303033222c227772697474656e5f6174223a313734303837373835363030303030302c2273747265616d223a5b22476f6c64656e4163636f756e74222c22706169642d30225d2c2266696e6765727072696e74223a223230633633306363333736343034363035616437316464663464356139653862222c226576656e745f6964223a2266666439616566642d353236342d353736382d383133352d373739343265626361386663222c22706f736974696f6e223a3132382c227265636f726465645f6174223a313734303837373739363030303030302c22736574223a5b2262616c616e6365222c226964225d7d0a7b226964223a22706169642d30222c2276657273696f6e223a332c226f776e6572223a22222c226f70656e65645f6174223a6e756c6c2c2262616c616e6365223a223237302e3138222c22706179657273223a5b5d7d0a6333303934643736633162626139323637646336666537393766323839633766', NULL, NULL);
-- Data for Name: events_runs; Type: TABLE DATA; Schema: golden_schema; Owner: -
INSERT INTO golden_schema.events_runs VALUES
	('01954f00-b000-7000-8000-000000000001', '01954f00-b000-7000-8000-000000000002', 1, 1, 1, 0, 2),
	('01954f00-b000-7000-8000-000000000003', '01954f00-b000-7000-8000-000000000005', 2, 1, 3, 0, 3),
	('01954f00-b000-7000-8000-000000000006', '01954f00-b000-7000-8000-000000000006', 3, 1, 6, 0, 1),
	('8af9e95d-2655-5da9-aa22-7effc3c14a84', '8af9e95d-2655-5da9-aa22-7effc3c14a84', 3, 2, 7, 0, 1),
	('01954f00-b000-7000-8000-000000000008', '01954f00-b000-7000-8000-000000000009', 3, 3, 8, 0, 2),
	('01954f00-d710-7000-8000-00000000000a', '01954f00-d710-7000-8000-00000000000d', 4, 1, 10, 0, 4),
	('475ff51b-e62b-5131-ab3b-31f80b00ac72', '475ff51b-e62b-5131-ab3b-31f80b00ac72', 4, 5, 14, 0, 1),
	('01954f00-d710-7000-8000-00000000000f', '01954f00-d710-7000-8000-000000000010', 5, 1, 15, 0, 2),
	('01954f00-d710-7000-8000-000000000011', '01954f00-d710-7000-8000-000000000013', 6, 1, 17, 0, 3),
	('01954f00-fe20-7000-8000-000000000014', '01954f00-fe20-7000-8000-000000000014', 7, 1, 20, 0, 1),
	('3d608e28-fd26-5109-9fc4-49e99a6e5324', '3d608e28-fd26-5109-9fc4-49e99a6e5324', 7, 2, 21, 0, 1),
	('01954f00-fe20-7000-8000-000000000016', '01954f00-fe20-7000-8000-000000000017', 7, 3, 22, 0, 2),
	('01954f00-fe20-7000-8000-000000000018', '01954f00-fe20-7000-8000-00000000001b', 8, 1, 24, 0, 4),
	('e680a2df-e93a-57c4-af98-3ebc6a411475', 'e680a2df-e93a-57c4-af98-3ebc6a411475', 8, 5, 28, 0, 1),
	('01954f00-fe20-7000-8000-00000000001d', '01954f00-fe20-7000-8000-00000000001d', 9, 1, 29, 0, 1),
	('01954f01-2530-7000-8000-00000000001e', '01954f01-2530-7000-8000-000000000022', 9, 2, 30, 0, 5),
	('3e7669cb-3d3a-5de6-b266-3839e40913aa', '3e7669cb-3d3a-5de6-b266-3839e40913aa', 9, 7, 35, 0, 1),
	('01954f01-2530-7000-8000-000000000024', '01954f01-2530-7000-8000-000000000025', 9, 8, 36, 0, 2),
	('01954f01-2530-7000-8000-000000000026', '01954f01-2530-7000-8000-000000000027', 10, 1, 38, 0, 2),
	('01954f01-4c40-7000-8000-000000000028', '01954f01-4c40-7000-8000-000000000029', 10, 3, 40, 0, 2),
	('d2a348b2-cf76-5715-a046-56ead81e00e5', 'd2a348b2-cf76-5715-a046-56ead81e00e5', 10, 5, 42, 0, 1),
	('01954f01-4c40-7000-8000-00000000002b', '01954f01-4c40-7000-8000-00000000002e', 10, 6, 43, 0, 4),
	('01954f01-4c40-7000-8000-00000000002f', '01954f01-4c40-7000-8000-000000000030', 11, 1, 47, 0, 2),
	('4c386e50-397b-5911-b379-98f848d3fe56', '4c386e50-397b-5911-b379-98f848d3fe56', 11, 3, 49, 0, 1),
	('01954f01-7350-7000-8000-000000000032', '01954f01-7350-7000-8000-000000000037', 11, 4, 50, 0, 6),
	('46f19ae3-8b90-53d0-8e10-e0056cf85d65', '46f19ae3-8b90-53d0-8e10-e0056cf85d65', 12, 1, 56, 0, 1),
	('01954f01-7350-7000-8000-000000000039', '01954f01-7350-7000-8000-00000000003b', 12, 2, 57, 0, 3),
	('01954f01-9a60-7000-8000-00000000003c', '01954f01-9a60-7000-8000-00000000003e', 12, 5, 60, 0, 3),
	('686260a1-20dd-51e4-830a-7c0e1c0db654', '686260a1-20dd-51e4-830a-7c0e1c0db654', 12, 8, 63, 0, 1),
	('01954f01-9a60-7000-8000-000000000040', '01954f01-9a60-7000-8000-000000000040', 12, 9, 64, 0, 1),
	('01954f01-9a60-7000-8000-000000000041', '01954f01-9a60-7000-8000-000000000045', 13, 0, 65, 0, 5),
	('7366507c-3e51-5f46-b10e-612d3d9c8ee6', '7366507c-3e51-5f46-b10e-612d3d9c8ee6', 13, 0, 70, 0, 1),
	('01954f01-c170-7000-8000-000000000047', '01954f01-c170-7000-8000-00000000004c', 13, 0, 71, 0, 6),
	('5edf3b59-4bf2-5897-870f-d9bdb146887d', '5edf3b59-4bf2-5897-870f-d9bdb146887d', 13, 0, 77, 0, 1),
	('01954f01-c170-7000-8000-00000000004e', '01954f01-c170-7000-8000-00000000004f', 13, 0, 78, 0, 2),
	('01954f01-e880-7000-8000-000000000050', '01954f01-e880-7000-8000-000000000053', 13, 0, 80, 0, 4),
	('a735ae2f-42c8-53c4-9c14-1c10de3cd909', 'a735ae2f-42c8-53c4-9c14-1c10de3cd909', 13, 0, 84, 0, 1),
	('01954f01-e880-7000-8000-000000000055', '01954f01-e880-7000-8000-000000000059', 13, 0, 85, 0, 5),
	('01954f02-0f90-7000-8000-00000000005a', '01954f02-0f90-7000-8000-00000000005a', 13, 0, 90, 0, 1),
	('3a16bb51-1633-5827-9c67-ff08d52f9e76', '3a16bb51-1633-5827-9c67-ff08d52f9e76', 13, 0, 91, 0, 1),
	('01954f02-0f90-7000-8000-00000000005c', '01954f02-0f90-7000-8000-000000000061', 13, 0, 92, 0, 6),
	('b1cda599-3468-5be8-9f5a-b224a4e62a6b', 'b1cda599-3468-5be8-9f5a-b224a4e62a6b', 13, 0, 98, 0, 1),
	('01954f02-0f90-7000-8000-000000000063', '01954f02-0f90-7000-8000-000000000063', 13, 0, 99, 0, 1),
	('01954f02-36a0-7000-8000-000000000064', '01954f02-36a0-7000-8000-000000000068', 13, 0, 100, 0, 5),
	('b27ce586-a510-5ced-9fc7-7929135c7826', 'b27ce586-a510-5ced-9fc7-7929135c7826', 13, 0, 105, 8362846284895863150, 1),
	('01954f02-36a0-7000-8000-00000000006a', '01954f02-36a0-7000-8000-00000000006a', 14, 1, 106, 0, 1),
	('01954f02-36a0-7000-8000-00000000006b', '01954f02-36a0-7000-8000-00000000006b', 15, 1, 107, 0, 1),
	('01954f02-36a0-7000-8000-00000000006c', '01954f02-36a0-7000-8000-00000000006c', 16, 1, 108, 0, 1),
	('01954f02-36a0-7000-8000-00000000006d', '01954f02-36a0-7000-8000-00000000006d', 17, 1, 109, 0, 1),
	('01954f02-5db0-7000-8000-00000000006e', '01954f02-5db0-7000-8000-00000000006e', 18, 1, 110, 0, 1);
INSERT INTO golden_schema.events_runs VALUES
	('01954f02-5db0-7000-8000-00000000006f', '01954f02-5db0-7000-8000-00000000006f', 13, 0, 111, 0, 1),
	('46cb18f7-6c97-5553-bb03-7bc4c5595c88', '46cb18f7-6c97-5553-bb03-7bc4c5595c88', 13, 0, 112, 0, 1),
	('01954f02-5db0-7000-8000-000000000071', '01954f02-5db0-7000-8000-000000000071', 13, 0, 113, 0, 1),
	('01954f02-5db0-7000-8000-000000000072', '01954f02-5db0-7000-8000-000000000073', 19, 1, 114, 0, 2),
	('01954f02-5db0-7000-8000-000000000074', '01954f02-5db0-7000-8000-000000000075', 20, 1, 116, 0, 2),
	('01954f02-5db0-7000-8000-000000000076', '01954f02-5db0-7000-8000-000000000076', 21, 1, 118, 0, 1),
	('3d7160f4-c772-53da-9a9e-9c33f82a894d', '3d7160f4-c772-53da-9a9e-9c33f82a894d', 21, 2, 119, 0, 1),
	('01954f8a-0449-7000-8000-000000002329', '01954f8a-0449-7000-8000-000000002329', 22, 1, 120, 0, 1),
	('7938911a-c76e-536f-9ceb-47b9d8440c47', '7938911a-c76e-536f-9ceb-47b9d8440c47', 23, 1, 121, 0, 1),
	('01954f8a-0449-7000-8000-00000000232b', '01954f8a-0449-7000-8000-00000000232b', 24, 1, 122, 0, 1),
	('01954f8a-0449-7000-8000-00000000232c', '01954f8a-0449-7000-8000-00000000232c', 22, 2, 123, 0, 1),
	('01954f8a-0449-7000-8000-00000000232d', '01954f8a-0449-7000-8000-00000000232d', 23, 2, 124, 0, 1),
	('01954f8a-0449-7000-8000-00000000232e', '01954f8a-0449-7000-8000-00000000232e', 24, 2, 125, 0, 1),
	('01954f8a-0449-7000-8000-00000000232f', '01954f8a-0449-7000-8000-00000000232f', 22, 3, 126, 0, 1),
	('01954f8a-0449-7000-8000-000000002330', '01954f8a-0449-7000-8000-000000002330', 23, 3, 127, 0, 1),
	('ffd9aefd-5264-5768-8135-77942ebca8fc', 'ffd9aefd-5264-5768-8135-77942ebca8fc', 24, 3, 128, 0, 1),
	('01954f8a-2b59-7000-8000-000000002332', '01954f8a-2b59-7000-8000-000000002332', 22, 4, 129, 0, 1);
-- Data for Name: events_store; Type: TABLE DATA; Schema: golden_schema; Owner: -
INSERT INTO golden_schema.events_store VALUES
	('902343f2-8c5e-40b2-91a6-1d4f7fe00b5f');
-- Data for Name: events_streams; Type: TABLE DATA; Schema: golden_schema; Owner: -
INSERT INTO golden_schema.events_streams OVERRIDING SYSTEM VALUE VALUES
	(1, 2, 2, '', 'GoldenAccount', 'account 0 Ada'),
	(2, 3, 5, '', 'GoldenAccount', 'account 1 Zoë'),
	(3, 4, 9, '', 'GoldenAccount', 'account 2 Zoë'),
	(4, 5, 14, '', 'GoldenAccount', 'account 3 Ωmega 𝔘𝔫𝔦𝔠𝔬𝔡𝔢'),
	(5, 2, 16, '', 'GoldenAccount', 'account 4 quoted "\" and'),
	(6, 3, 19, '', 'GoldenAccount', 'account 5 👩‍👩‍👧 family'),
	(7, 4, 23, '', 'GoldenAccount', 'account 6 ﷺ right to left'),
	(8, 5, 28, '', 'GoldenAccount', 'account 7 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'),
	(9, 9, 37, '', 'GoldenBasket', 'b-0'),
	(10, 9, 46, '', 'GoldenBasket', 'b-1'),
	(11, 9, 55, '', 'GoldenBasket', 'b-2'),
	(12, 9, 64, '', 'GoldenBasket', 'b-3'),
	(13, 0, 0, '', '', ''),
	(14, 1, 106, '', 'Golden page', 'p-0'),
	(15, 1, 107, '', 'Golden page', 'p-1'),
	(16, 1, 108, '', 'Golden page', 'p-2'),
	(17, 1, 109, '', 'Golden page', 'p-3'),
	(18, 1, 110, '', 'Golden page', 'p-4'),
	(19, 2, 115, 'acme', 'GoldenAccount', 'a-0'),
	(20, 2, 117, 'acme', 'GoldenAccount', 'a-1'),
	(21, 2, 119, 'acme', 'GoldenAccount', 'a-2'),
	(23, 3, 127, '', 'GoldenAccount', 'paid-2'),
	(24, 3, 128, '', 'GoldenAccount', 'paid-0'),
	(22, 4, 129, '', 'GoldenAccount', 'paid-1');
-- Data for Name: events_tags; Type: TABLE DATA; Schema: golden_schema; Owner: -
INSERT INTO golden_schema.events_tags VALUES
	('', 'vip', 3),
	('', 'vip', 10),
	('', 'vip', 17),
	('', 'vip', 24),
	('', 'web', 65),
	('', 'page-0', 65),
	('', 'web', 66),
	('', 'page-1', 66),
	('', 'web', 67),
	('', 'page-2', 67),
	('', 'web', 68),
	('', 'page-0', 68),
	('', 'web', 69),
	('', 'page-1', 69),
	('', 'web', 70),
	('', 'page-2', 70),
	('', 'web', 71),
	('', 'page-0', 71),
	('', 'web', 72),
	('', 'page-1', 72),
	('', 'web', 73),
	('', 'page-2', 73),
	('', 'web', 74),
	('', 'page-0', 74),
	('', 'web', 75),
	('', 'page-1', 75),
	('', 'web', 76),
	('', 'page-2', 76),
	('', 'web', 77),
	('', 'page-0', 77),
	('', 'web', 78),
	('', 'page-1', 78),
	('', 'web', 79),
	('', 'page-2', 79),
	('', 'web', 80),
	('', 'page-0', 80),
	('', 'web', 81),
	('', 'page-1', 81),
	('', 'web', 82),
	('', 'page-2', 82),
	('', 'web', 83),
	('', 'page-0', 83),
	('', 'web', 84),
	('', 'page-1', 84),
	('', 'web', 85),
	('', 'page-2', 85),
	('', 'web', 86),
	('', 'page-0', 86),
	('', 'web', 87),
	('', 'page-1', 87);
INSERT INTO golden_schema.events_tags VALUES
	('', 'web', 88),
	('', 'page-2', 88),
	('', 'web', 89),
	('', 'page-0', 89),
	('', 'web', 90),
	('', 'page-1', 90),
	('', 'web', 91),
	('', 'page-2', 91),
	('', 'web', 92),
	('', 'page-0', 92),
	('', 'web', 93),
	('', 'page-1', 93),
	('', 'web', 94),
	('', 'page-2', 94),
	('', 'web', 95),
	('', 'page-0', 95),
	('', 'web', 96),
	('', 'page-1', 96),
	('', 'web', 97),
	('', 'page-2', 97),
	('', 'web', 98),
	('', 'page-0', 98),
	('', 'web', 99),
	('', 'page-1', 99),
	('', 'web', 100),
	('', 'page-2', 100),
	('', 'web', 101),
	('', 'page-0', 101),
	('', 'web', 102),
	('', 'page-1', 102),
	('', 'web', 103),
	('', 'page-2', 103),
	('', 'web', 104),
	('', 'page-0', 104),
	('', 'never', 105);
SELECT pg_catalog.setval('golden_schema.events_clock', 1740877856000000, true);
SELECT pg_catalog.setval('golden_schema.events_kinds_id_seq', 5, true);
SELECT pg_catalog.setval('golden_schema.events_position', 129, true);
SELECT pg_catalog.setval('golden_schema.events_streams_id_seq', 24, true);
ALTER TABLE ONLY golden_schema.events_format
    ADD CONSTRAINT events_format_pkey PRIMARY KEY (version);
ALTER TABLE ONLY golden_schema.events_kind_spans
    ADD CONSTRAINT events_kind_spans_pkey PRIMARY KEY (kind, first);
ALTER TABLE ONLY golden_schema.events_kinds
    ADD CONSTRAINT events_kinds_event_type_event_version_codec_key UNIQUE (event_type, event_version, codec);
ALTER TABLE ONLY golden_schema.events_kinds
    ADD CONSTRAINT events_kinds_pkey PRIMARY KEY (id);
ALTER TABLE ONLY golden_schema.events_log
    ADD CONSTRAINT events_log_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY golden_schema.events_record_index
    ADD CONSTRAINT events_record_index_pkey PRIMARY KEY (tenant, space, name, rank, whole, fraction, words, key);
ALTER TABLE ONLY golden_schema.events_records
    ADD CONSTRAINT events_records_pkey PRIMARY KEY (tenant, space, key);
ALTER TABLE ONLY golden_schema.events_runs
    ADD CONSTRAINT events_runs_pkey PRIMARY KEY (first_id);
ALTER TABLE ONLY golden_schema.events_store
    ADD CONSTRAINT events_store_pkey PRIMARY KEY (id);
ALTER TABLE ONLY golden_schema.events_streams
    ADD CONSTRAINT events_streams_pkey PRIMARY KEY (id);
ALTER TABLE ONLY golden_schema.events_streams
    ADD CONSTRAINT events_streams_tenant_aggregate_type_aggregate_id_key UNIQUE (tenant, aggregate_type, aggregate_id);
ALTER TABLE ONLY golden_schema.events_tags
    ADD CONSTRAINT events_tags_pkey PRIMARY KEY (tenant, tag, "position");
CREATE INDEX events_log_events_user_position_idx ON golden_schema.events_log USING btree (golden_schema.events_user(metadata) COLLATE "C", "position") WHERE (strpos(metadata, '"user_id":'::text) > 0);
CREATE INDEX events_record_index_tenant_space_key_idx ON golden_schema.events_record_index USING btree (tenant, space, key);
CREATE INDEX events_records_lexemes_idx ON golden_schema.events_records USING gin (lexemes) WHERE (lexemes IS NOT NULL);
CREATE INDEX events_records_tenant_space_due_key_idx ON golden_schema.events_records USING btree (tenant, space, due, key) WHERE (due IS NOT NULL);
CREATE UNIQUE INDEX events_runs_stream_first_version_idx ON golden_schema.events_runs USING btree (stream, first_version) WHERE (first_version > 0);
CREATE TRIGGER stays BEFORE DELETE OR UPDATE OR TRUNCATE ON golden_schema.events_kind_spans FOR EACH STATEMENT EXECUTE FUNCTION golden_schema.events_refuse();
CREATE TRIGGER stays BEFORE DELETE OR UPDATE OR TRUNCATE ON golden_schema.events_kinds FOR EACH STATEMENT EXECUTE FUNCTION golden_schema.events_refuse();
CREATE TRIGGER stays BEFORE DELETE OR UPDATE OR TRUNCATE ON golden_schema.events_log FOR EACH STATEMENT EXECUTE FUNCTION golden_schema.events_refuse();
CREATE TRIGGER stays BEFORE DELETE OR UPDATE OR TRUNCATE ON golden_schema.events_runs FOR EACH STATEMENT EXECUTE FUNCTION golden_schema.events_refuse();
CREATE TRIGGER stays BEFORE DELETE OR UPDATE OF id, tenant, aggregate_type, aggregate_id OR TRUNCATE ON golden_schema.events_streams FOR EACH STATEMENT EXECUTE FUNCTION golden_schema.events_refuse();
CREATE TRIGGER stays BEFORE DELETE OR UPDATE OR TRUNCATE ON golden_schema.events_tags FOR EACH STATEMENT EXECUTE FUNCTION golden_schema.events_refuse();
-- PostgreSQL database dump complete
