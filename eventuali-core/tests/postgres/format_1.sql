SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA dumped_store;
CREATE FUNCTION dumped_store.events_append(families bigint[], s_tenant text[], s_type text[], s_id text[], s_expected bigint[], s_added integer[], s_last integer[], loose bigint[], e_stream integer[], e_number integer[], e_id uuid[], e_kind integer[], e_timestamp bigint[], e_crc bigint[], e_metadata text[], e_payload bytea[], r_first uuid[], r_last uuid[], r_place integer[], r_count integer[], r_records bigint[], k_kind integer[], k_first integer[], k_last integer[], t_tenant text[], t_tag text[], t_place integer[], OUT first_position bigint, OUT written_at bigint, OUT heads bigint[], OUT heard boolean) RETURNS record
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    bounds CONSTANT INTEGER := '"dumped_store"."events_position"'::regclass::oid::bigint::bit(32)::integer;
    gate CONSTANT INTEGER := '"dumped_store"."events_log"'::regclass::oid::bigint::bit(32)::integer;
    single BOOLEAN := cardinality(s_id) = 1 AND cardinality(e_id) = 1 AND e_number[1] = 1;
    number BIGINT;
    head BIGINT;
    last_known UUID;
    numbers BIGINT[];
    drawn RECORD;
    before BIGINT;
BEGIN
    IF single THEN
        IF "dumped_store"."events_pass"(false, families) IS NULL THEN
        END IF;
        SELECT s.id, s.version INTO number, head FROM "dumped_store"."events_streams" AS s
        WHERE s.tenant = s_tenant[1] AND s.aggregate_type = s_type[1] AND s.aggregate_id = s_id[1]
        FOR NO KEY UPDATE;
        single := number IS NOT NULL;
    END IF;
    IF single THEN
        heads := ARRAY[head];
        IF (CASE s_expected[1] WHEN -1 THEN false WHEN -2 THEN head = 0 ELSE head <> s_expected[1] END) THEN
            RETURN;
        END IF;
        SELECT k.last_id INTO last_known FROM "dumped_store"."events_runs" AS k
        WHERE k.first_id <= r_last[1] ORDER BY k.first_id DESC LIMIT 1;
        IF last_known >= r_first[1] THEN
            RETURN;
        END IF;
    ELSE
        SELECT array_agg(s.number ORDER BY s.place), array_agg(s.head ORDER BY s.place)
        INTO numbers, heads
        FROM "dumped_store"."events_enter"(false, families, s_tenant, s_type, s_id) WITH ORDINALITY AS s (number, head, place);
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
                SELECT k.last_id FROM "dumped_store"."events_runs" AS k
                WHERE k.first_id <= r.last_id ORDER BY k.first_id DESC LIMIT 1
            ) AS known
            WHERE known.last_id >= r.first_id
        ) THEN
            RETURN;
        END IF;
    END IF;
    --<bound>
    IF pg_advisory_xact_lock_shared(
        bounds, coalesce(pg_sequence_last_value('"dumped_store"."events_position"'), 0)::bit(32)::integer
    ) IS NULL THEN
    END IF;
    --</bound>
    drawn := "dumped_store"."events_draw"(cardinality(e_id));
    --<drawn>
    first_position := drawn.first_position;
    written_at := drawn.drawn_at;
    before := first_position - 1;
    IF single THEN
        INSERT INTO "dumped_store"."events_log" (
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
        UPDATE "dumped_store"."events_streams" AS s SET version = head + 1, last_position = first_position WHERE s.id = number;
        INSERT INTO "dumped_store"."events_runs" (first_id, last_id, stream, first_version, position, records, count)
        VALUES (r_first[1], r_last[1], number, head + 1, first_position, r_records[1], 1);
        INSERT INTO "dumped_store"."events_kind_spans" (kind, first, last) VALUES (k_kind[1], first_position, first_position);
    ELSE
        numbers := numbers || loose;
        INSERT INTO "dumped_store"."events_log" (
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
        UPDATE "dumped_store"."events_streams" AS s
        SET version = s.version + n.added, last_position = before + n.last
        FROM unnest(numbers[1:cardinality(s_added)], s_added, s_last) AS n (number, added, last)
        WHERE s.id = n.number AND n.added > 0;
        INSERT INTO "dumped_store"."events_runs" (first_id, last_id, stream, first_version, position, records, count)
        SELECT
            r.first_id, r.last_id, numbers[e_stream[r.place]],
            CASE e_number[r.place] WHEN 0 THEN 0 ELSE heads[e_stream[r.place]] + e_number[r.place] END,
            before + r.place, r.records, r.count
        FROM unnest(r_first, r_last, r_place, r_count, r_records) AS r (first_id, last_id, place, count, records);
        INSERT INTO "dumped_store"."events_kind_spans" (kind, first, last)
        SELECT k.kind, before + k.first, before + k.last
        FROM unnest(k_kind, k_first, k_last) AS k (kind, first, last);
    END IF;
    IF cardinality(t_tag) > 0 THEN
        INSERT INTO "dumped_store"."events_tags" (tenant, tag, position)
        SELECT t.tenant, t.tag, before + t.place
        FROM unnest(t_tenant, t_tag, t_place) AS t (tenant, tag, place);
    END IF;
    -- Who listens holds this lock, shared.
    heard := NOT pg_try_advisory_lock(gate, 2);
    IF NOT heard AND pg_advisory_unlock(gate, 2) THEN
    END IF;
END $$;
CREATE FUNCTION dumped_store.events_draw(wanted bigint, OUT first_position bigint, OUT drawn_at bigint) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE
    gate CONSTANT INTEGER := '"dumped_store"."events_log"'::regclass::oid::bigint::bit(32)::integer;
BEGIN
    IF pg_advisory_xact_lock(gate, 1) IS NULL THEN
    END IF;
    SELECT e.position, e.recorded_at INTO first_position, drawn_at
    FROM "dumped_store"."events_log" AS e ORDER BY e.position DESC LIMIT 1;
    first_position := coalesce(greatest(first_position, pg_sequence_last_value('"dumped_store"."events_position"')), 0) + 1;
    drawn_at := greatest(
        drawn_at, pg_sequence_last_value('"dumped_store"."events_clock"'),
        (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
    );
    first_position := setval('"dumped_store"."events_position"', first_position + wanted - 1) - wanted + 1;
    drawn_at := setval('"dumped_store"."events_clock"', drawn_at);
    RAISE SQLSTATE 'EVDRW';
EXCEPTION WHEN SQLSTATE 'EVDRW' THEN
    RETURN;
END $$;
CREATE FUNCTION dumped_store.events_enter(alone boolean, families bigint[], tenants text[], types text[], ids text[]) RETURNS TABLE(number bigint, head bigint)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
BEGIN
    IF "dumped_store"."events_pass"(alone, families) IS NULL THEN
    END IF;
    INSERT INTO "dumped_store"."events_streams" (version, last_position, tenant, aggregate_type, aggregate_id)
    SELECT 0, 0, n.tenant, n.type, n.id
    FROM unnest(tenants, types, ids) WITH ORDINALITY AS n (tenant, type, id, place)
    WHERE NOT EXISTS (
        SELECT FROM "dumped_store"."events_streams" AS s
        WHERE s.tenant = n.tenant AND s.aggregate_type = n.type AND s.aggregate_id = n.id
    )
    ORDER BY n.place
    ON CONFLICT (tenant, aggregate_type, aggregate_id) DO NOTHING;
    RETURN QUERY
    SELECT s.id, s.version
    FROM unnest(tenants, types, ids) WITH ORDINALITY AS n (tenant, type, id, place)
    INNER JOIN "dumped_store"."events_streams" AS s
        ON s.tenant = n.tenant AND s.aggregate_type = n.type AND s.aggregate_id = n.id
    ORDER BY n.place
    FOR NO KEY UPDATE OF s;
END $$;
CREATE FUNCTION dumped_store.events_horizon() RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
    last BIGINT;
    bound BIGINT;
    found BIGINT;
BEGIN
    SELECT coalesce(max(e.position), 0) INTO last FROM "dumped_store"."events_log" AS e;
    --<lowest>
    SELECT min(last + (((l.objid::bigint - (last & 4294967295)) + 6442450944) % 4294967296 - 2147483648))
    INTO bound
    FROM pg_locks AS l
    WHERE
        l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted
        AND l.classid = '"dumped_store"."events_position"'::regclass
        AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database());
    --</lowest>
    --<looked>
    -- Events that follow a settled position without a gap are settled: nothing can appear between.
    FOR turn IN 1..64 LOOP
        EXIT WHEN coalesce(bound, last) >= last;
        SELECT coalesce(max(f.position), bound), count(*) INTO bound, found
        FROM (
            SELECT e.position, row_number() OVER (ORDER BY e.position) AS place
            FROM "dumped_store"."events_log" AS e WHERE e.position > bound AND e.position <= last ORDER BY e.position LIMIT 1024
        ) AS f
        WHERE f.position = bound + f.place;
        EXIT WHEN found < 1024;
    END LOOP;
    RETURN greatest(least(last, bound), 0);
END $$;
CREATE FUNCTION dumped_store.events_keep(k_tenant text[], k_space text[], k_key text[], k_version bigint[], k_commit uuid[], k_due bigint[], k_bytes bytea[], i_tenant text[], i_space text[], i_key text[], i_name text[], i_rank smallint[], i_whole bigint[], i_fraction double precision[], i_words bytea[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE "dumped_store"."events_records" AS r
    SET version = n.version, commit_id = n.commit_id, due = n.due, bytes = n.bytes
    FROM unnest(k_tenant, k_space, k_key, k_version, k_commit, k_due, k_bytes)
        AS n (tenant, space, key, version, commit_id, due, bytes)
    WHERE r.tenant = n.tenant AND r.space = n.space AND r.key = n.key;
    DELETE FROM "dumped_store"."events_record_index" AS i
    USING unnest(k_tenant, k_space, k_key) AS n (tenant, space, key)
    WHERE i.tenant = n.tenant AND i.space = n.space AND i.key = n.key;
    INSERT INTO "dumped_store"."events_record_index" (tenant, space, key, name, rank, whole, fraction, words)
    SELECT * FROM unnest(i_tenant, i_space, i_key, i_name, i_rank, i_whole, i_fraction, i_words);
END $$;
CREATE FUNCTION dumped_store.events_look(alone boolean, families bigint[], s_tenant text[], s_type text[], s_id text[], k_tenant text[], k_space text[], k_key text[], r_first uuid[], r_last uuid[], OUT heads bigint[], OUT versions bigint[], OUT commits uuid[], OUT present boolean[], OUT known boolean[]) RETURNS record
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
BEGIN
    SELECT array_agg(s.head ORDER BY s.place) INTO heads
    FROM "dumped_store"."events_enter"(alone, families, s_tenant, s_type, s_id) WITH ORDINALITY AS s (number, head, place);
    IF cardinality(k_key) > 0 THEN
        INSERT INTO "dumped_store"."events_records" (tenant, space, key, version, commit_id)
        SELECT n.tenant, n.space, n.key, 0, '00000000-0000-0000-0000-000000000000'
        FROM unnest(k_tenant, k_space, k_key) WITH ORDINALITY AS n (tenant, space, key, place)
        WHERE NOT EXISTS (
            SELECT FROM "dumped_store"."events_records" AS r
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
            INNER JOIN "dumped_store"."events_records" AS r
                ON r.tenant = n.tenant AND r.space = n.space AND r.key = n.key
            ORDER BY n.place
            FOR NO KEY UPDATE OF r
        ) AS l;
    END IF;
    IF cardinality(r_first) > 0 THEN
        SELECT array_agg(coalesce(k.last_id >= r.first_id, false) ORDER BY r.place) INTO known
        FROM unnest(r_first, r_last) WITH ORDINALITY AS r (first_id, last_id, place)
        LEFT JOIN LATERAL (
            SELECT s.last_id FROM "dumped_store"."events_runs" AS s
            WHERE s.first_id <= r.last_id ORDER BY s.first_id DESC LIMIT 1
        ) AS k ON true;
    END IF;
END $$;
CREATE FUNCTION dumped_store.events_moment(microseconds bigint) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE
        WHEN microseconds BETWEEN -210000000000000000 AND 9000000000000000000
        THEN TIMESTAMPTZ 'epoch' + (microseconds / 1000000) * INTERVAL '1 second'
            + (microseconds % 1000000) * INTERVAL '1 microsecond'
    END
$$;
CREATE FUNCTION dumped_store.events_pass(alone boolean, families bigint[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    gate CONSTANT INTEGER := '"dumped_store"."events_log"'::regclass::oid::bigint::bit(32)::integer;
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
CREATE FUNCTION dumped_store.events_readable(payload bytea, codec text) RETURNS text
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
CREATE FUNCTION dumped_store.events_refuse() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'events are never changed and never deleted' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE FUNCTION dumped_store.events_tail(above bigint, settled boolean, most integer, bytes bigint) RETURNS TABLE(horizon bigint, "position" bigint, stream bigint, version bigint, kind integer, event_id uuid, "timestamp" bigint, recorded_at bigint, checksum bigint, metadata text, payload bytea)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    found BIGINT;
BEGIN
    IF NOT (settled AND EXISTS (SELECT FROM "dumped_store"."events_log" AS l WHERE l.position = above + 1)) THEN
        found := "dumped_store"."events_horizon"();
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
        FROM "dumped_store"."events_log" AS l
        WHERE l.position BETWEEN above + 1 AND coalesce(found, above + most)
        ORDER BY l.position LIMIT most
    ) AS e ON true
    ORDER BY e.position;
END $$;
CREATE FUNCTION dumped_store.events_version_at(number bigint, head bigint, place bigint) RETURNS bigint
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
    SELECT e.version + place - e.position INTO low FROM "dumped_store"."events_log" AS e
    WHERE e.position BETWEEN place AND place + 1 AND e.stream = number ORDER BY e.position LIMIT 1;
    IF low IS NOT NULL THEN
        RETURN low;
    END IF;
    low := 0;
    WHILE low < high LOOP
        middle := greatest((low + high + 1) / 2, high - step);
        SELECT r.first_version, r.position INTO run FROM "dumped_store"."events_runs" AS r
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
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE dumped_store.events_kinds (
    id integer NOT NULL,
    event_type text NOT NULL COLLATE pg_catalog."C",
    event_version bigint NOT NULL,
    codec text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE dumped_store.events_log (
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
CREATE TABLE dumped_store.events_streams (
    id bigint NOT NULL,
    version bigint NOT NULL,
    last_position bigint NOT NULL,
    tenant text NOT NULL COLLATE pg_catalog."C",
    aggregate_type text NOT NULL COLLATE pg_catalog."C",
    aggregate_id text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='80');
CREATE VIEW dumped_store.events AS
 SELECT e."position",
    e.event_id AS id,
    s.tenant,
    s.aggregate_id,
    s.aggregate_type,
    k.event_type,
    k.event_version,
    e.version AS aggregate_version,
    dumped_store.events_readable(e.payload, k.codec) AS event_data,
    k.codec AS event_data_type,
    e.metadata,
    dumped_store.events_moment(e."timestamp") AS "timestamp",
    dumped_store.events_moment(e.recorded_at) AS recorded_at
   FROM ((dumped_store.events_log e
     JOIN dumped_store.events_streams s ON ((s.id = e.stream)))
     JOIN dumped_store.events_kinds k ON ((k.id = e.kind)));
CREATE SEQUENCE dumped_store.events_clock
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
CREATE TABLE dumped_store.events_record_index (
    tenant text NOT NULL COLLATE pg_catalog."C",
    space text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    rank smallint NOT NULL,
    whole bigint NOT NULL,
    fraction double precision NOT NULL,
    words bytea NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE dumped_store.events_records (
    tenant text NOT NULL COLLATE pg_catalog."C",
    space text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    commit_id uuid NOT NULL,
    due bigint,
    bytes bytea
)
WITH (fillfactor='80');
CREATE VIEW dumped_store.events_documents AS
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
   FROM (dumped_store.events_records r
     CROSS JOIN LATERAL ( SELECT array_agg(i.name ORDER BY i.name, i.rank, i.whole, i.fraction, i.words) AS names,
            array_agg(i.rank ORDER BY i.name, i.rank, i.whole, i.fraction, i.words) AS ranks,
            array_agg(i.whole ORDER BY i.name, i.rank, i.whole, i.fraction, i.words) AS wholes,
            array_agg(i.fraction ORDER BY i.name, i.rank, i.whole, i.fraction, i.words) AS fractions,
            array_agg(i.words ORDER BY i.name, i.rank, i.whole, i.fraction, i.words) AS words
           FROM dumped_store.events_record_index i
          WHERE ((i.tenant = r.tenant) AND (i.space = r.space) AND (i.key = r.key))) e)
  WHERE (r.bytes IS NOT NULL);
CREATE TABLE dumped_store.events_format (
    version integer NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE dumped_store.events_kind_spans (
    kind integer NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL
);
ALTER TABLE dumped_store.events_kinds ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME dumped_store.events_kinds_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE SEQUENCE dumped_store.events_position
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
CREATE TABLE dumped_store.events_runs (
    first_id uuid NOT NULL,
    last_id uuid NOT NULL,
    stream bigint NOT NULL,
    first_version bigint NOT NULL,
    "position" bigint NOT NULL,
    records bigint NOT NULL,
    count integer NOT NULL
);
ALTER TABLE dumped_store.events_streams ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME dumped_store.events_streams_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE dumped_store.events_tags (
    tenant text NOT NULL COLLATE pg_catalog."C",
    tag text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL
);
INSERT INTO dumped_store.events_format VALUES (1, '2026-11-28 16:52:52.864551+00');
INSERT INTO dumped_store.events_kind_spans VALUES (2, 1, 3);
INSERT INTO dumped_store.events_kind_spans VALUES (1, 2, 2);
INSERT INTO dumped_store.events_kind_spans VALUES (3, 4, 4);
INSERT INTO dumped_store.events_kind_spans VALUES (4, 5, 5);
INSERT INTO dumped_store.events_kind_spans VALUES (5, 6, 7);
INSERT INTO dumped_store.events_kind_spans VALUES (5, 8, 8);
INSERT INTO dumped_store.events_kind_spans VALUES (6, 9, 158);
INSERT INTO dumped_store.events_kinds OVERRIDING SYSTEM VALUE VALUES (1, 'Deposited', 1, 'json');
INSERT INTO dumped_store.events_kinds OVERRIDING SYSTEM VALUE VALUES (2, 'Opened', 1, 'json');
INSERT INTO dumped_store.events_kinds OVERRIDING SYSTEM VALUE VALUES (3, 'Closed', 2, 'json');
INSERT INTO dumped_store.events_kinds OVERRIDING SYSTEM VALUE VALUES (4, 'Opened', 3, 'json');
INSERT INTO dumped_store.events_kinds OVERRIDING SYSTEM VALUE VALUES (5, 'Noted', 1, 'json');
INSERT INTO dumped_store.events_kinds OVERRIDING SYSTEM VALUE VALUES (6, 'Counted', 1, 'json');
INSERT INTO dumped_store.events_log VALUES (1, 1, 1, 1700000000000001, 1795884773031184, 8098069650392677974, '01900000-0000-7000-8000-000000000001', 2, '{"correlation_id":"order-1","causation_id":"00000000-0000-0000-0000-000000000007","user_id":"ada","headers":[["trace","é😀"]],"tags":["vip","new"]}', '\x7b226f776e6572223a22416461227d');
INSERT INTO dumped_store.events_log VALUES (2, 1, 2, 1700000000000002, 1795884773031184, 318502156292783710, '01900000-0000-7000-8000-000000000002', 1, NULL, '\xff00206e6f74206a736f6e');
INSERT INTO dumped_store.events_log VALUES (3, 2, 1, 1700000000000009, 1795884773031184, 8431592928434388572, '01900000-0000-7000-8000-000000000009', 2, NULL, '\x7b7d');
INSERT INTO dumped_store.events_log VALUES (4, 1, 3, 1700000000000020, 1795884773060913, 2167648156765530960, '01900000-0000-7000-8000-000000000014', 3, NULL, '\x7b7d');
INSERT INTO dumped_store.events_log VALUES (5, 3, 1, 1700000000000030, 1795884773075577, 8590514110025415745, '01900000-0000-7000-8000-00000000001e', 4, '{"correlation_id":"order-1","causation_id":"00000000-0000-0000-0000-000000000007","user_id":"ada","headers":[["trace","é😀"]],"tags":["vip"]}', '\x7b7d');
INSERT INTO dumped_store.events_log VALUES (6, 4, 0, 1700000000000040, 1795884773106336, 1452302264634901840, '01900000-0000-7000-8000-000000000028', 5, '{"correlation_id":"order-1","causation_id":"00000000-0000-0000-0000-000000000007","user_id":"ada","headers":[["trace","é😀"]],"tags":["vip"]}', '\x7b7d');
INSERT INTO dumped_store.events_log VALUES (7, 4, 0, 1700000000000041, 1795884773106336, 8769819266532705619, '01900000-0000-7000-8000-000000000029', 5, NULL, '\x7b7d');
INSERT INTO dumped_store.events_log VALUES (8, 5, 0, 1700000000000050, 1795884773118213, 8869779633152739865, '01900000-0000-7000-8000-000000000032', 5, NULL, '\x7b7d');
INSERT INTO dumped_store.events_log VALUES (9, 6, 1, 1700000000000100, 1795884773139978, 6030102663986847044, '01900000-0000-7000-8000-000000000064', 6, NULL, '\x7b226e223a3130307d');
INSERT INTO dumped_store.events_log VALUES (10, 6, 2, 1700000000000101, 1795884773139978, 6625493325733600588, '01900000-0000-7000-8000-000000000065', 6, NULL, '\x7b226e223a3130317d');
INSERT INTO dumped_store.events_log VALUES (11, 6, 3, 1700000000000102, 1795884773139978, 4833972714640416084, '01900000-0000-7000-8000-000000000066', 6, NULL, '\x7b226e223a3130327d');
INSERT INTO dumped_store.events_log VALUES (12, 6, 4, 1700000000000103, 1795884773139978, 5424860549853912412, '01900000-0000-7000-8000-000000000067', 6, NULL, '\x7b226e223a3130337d');
INSERT INTO dumped_store.events_log VALUES (13, 6, 5, 1700000000000104, 1795884773139978, 9131705428413160804, '01900000-0000-7000-8000-000000000068', 6, NULL, '\x7b226e223a3130347d');
INSERT INTO dumped_store.events_log VALUES (14, 6, 6, 1700000000000105, 1795884773139978, 8567839680590159212, '01900000-0000-7000-8000-000000000069', 6, NULL, '\x7b226e223a3130357d');
INSERT INTO dumped_store.events_log VALUES (15, 6, 7, 1700000000000106, 1795884773139978, 7926572059383209332, '01900000-0000-7000-8000-00000000006a', 6, NULL, '\x7b226e223a3130367d');
INSERT INTO dumped_store.events_log VALUES (16, 6, 8, 1700000000000107, 1795884773139978, 7376216921463758204, '01900000-0000-7000-8000-00000000006b', 6, NULL, '\x7b226e223a3130377d');
INSERT INTO dumped_store.events_log VALUES (17, 6, 9, 1700000000000108, 1795884773139978, 1244455386146315652, '01900000-0000-7000-8000-00000000006c', 6, NULL, '\x7b226e223a3130387d');
INSERT INTO dumped_store.events_log VALUES (18, 6, 10, 1700000000000109, 1795884773139978, 1808319407392464268, '01900000-0000-7000-8000-00000000006d', 6, NULL, '\x7b226e223a3130397d');
INSERT INTO dumped_store.events_log VALUES (19, 6, 11, 1700000000000110, 1795884773139978, 1042446968088075668, '01900000-0000-7000-8000-00000000006e', 6, NULL, '\x7b226e223a3131307d');
INSERT INTO dumped_store.events_log VALUES (20, 6, 12, 1700000000000111, 1795884773139978, 444381374939569564, '01900000-0000-7000-8000-00000000006f', 6, NULL, '\x7b226e223a3131317d');
INSERT INTO dumped_store.events_log VALUES (21, 6, 13, 1700000000000112, 1795884773139978, 891020577443323300, '01900000-0000-7000-8000-000000000070', 6, NULL, '\x7b226e223a3131327d');
INSERT INTO dumped_store.events_log VALUES (22, 6, 14, 1700000000000113, 1795884773139978, 288453583690702252, '01900000-0000-7000-8000-000000000071', 6, NULL, '\x7b226e223a3131337d');
INSERT INTO dumped_store.events_log VALUES (23, 6, 15, 1700000000000114, 1795884773139978, 4297059041946017204, '01900000-0000-7000-8000-000000000072', 6, NULL, '\x7b226e223a3131347d');
INSERT INTO dumped_store.events_log VALUES (24, 6, 16, 1700000000000115, 1795884773139978, 3746846531300531644, '01900000-0000-7000-8000-000000000073', 6, NULL, '\x7b226e223a3131357d');
INSERT INTO dumped_store.events_log VALUES (25, 6, 17, 1700000000000116, 1795884773139978, 3254008521667288516, '01900000-0000-7000-8000-000000000074', 6, NULL, '\x7b226e223a3131367d');
INSERT INTO dumped_store.events_log VALUES (26, 6, 18, 1700000000000117, 1795884773139978, 2699291140084112844, '01900000-0000-7000-8000-000000000075', 6, NULL, '\x7b226e223a3131377d');
INSERT INTO dumped_store.events_log VALUES (27, 6, 19, 1700000000000118, 1795884773139978, 6079116564480826836, '01900000-0000-7000-8000-000000000076', 6, NULL, '\x7b226e223a3131387d');
INSERT INTO dumped_store.events_log VALUES (28, 6, 20, 1700000000000119, 1795884773139978, 6629330750163557852, '01900000-0000-7000-8000-000000000077', 6, NULL, '\x7b226e223a3131397d');
INSERT INTO dumped_store.events_log VALUES (29, 6, 21, 1700000000000120, 1795884773139978, 7388181663115812324, '01900000-0000-7000-8000-000000000078', 6, NULL, '\x7b226e223a3132307d');
INSERT INTO dumped_store.events_log VALUES (30, 6, 22, 1700000000000121, 1795884773139978, 7986387830543916524, '01900000-0000-7000-8000-000000000079', 6, NULL, '\x7b226e223a3132317d');
INSERT INTO dumped_store.events_log VALUES (31, 6, 23, 1700000000000122, 1795884773139978, 8517040175360155124, '01900000-0000-7000-8000-00000000007a', 6, NULL, '\x7b226e223a3132327d');
INSERT INTO dumped_store.events_log VALUES (32, 6, 24, 1700000000000123, 1795884773139978, 9110742004426513916, '01900000-0000-7000-8000-00000000007b', 6, NULL, '\x7b226e223a3132337d');
INSERT INTO dumped_store.events_log VALUES (33, 6, 25, 1700000000000124, 1795884773139978, 5187335228306398724, '01900000-0000-7000-8000-00000000007c', 6, NULL, '\x7b226e223a3132347d');
INSERT INTO dumped_store.events_log VALUES (34, 6, 26, 1700000000000125, 1795884773139978, 5737687729115930124, '01900000-0000-7000-8000-00000000007d', 6, NULL, '\x7b226e223a3132357d');
INSERT INTO dumped_store.events_log VALUES (35, 6, 27, 1700000000000126, 1795884773139978, 6289170321720385044, '01900000-0000-7000-8000-00000000007e', 6, NULL, '\x7b226e223a3132367d');
INSERT INTO dumped_store.events_log VALUES (36, 6, 28, 1700000000000127, 1795884773139978, 6853034325786664476, '01900000-0000-7000-8000-00000000007f', 6, NULL, '\x7b226e223a3132377d');
INSERT INTO dumped_store.events_log VALUES (37, 6, 29, 1700000000000128, 1795884773139978, 3085149554552774180, '01900000-0000-7000-8000-000000000080', 6, NULL, '\x7b226e223a3132387d');
INSERT INTO dumped_store.events_log VALUES (38, 6, 30, 1700000000000129, 1795884773139978, 2489899415546011180, '01900000-0000-7000-8000-000000000081', 6, NULL, '\x7b226e223a3132397d');
INSERT INTO dumped_store.events_log VALUES (39, 6, 31, 1700000000000130, 1795884773139978, 3882689221522267700, '01900000-0000-7000-8000-000000000082', 6, NULL, '\x7b226e223a3133307d');
INSERT INTO dumped_store.events_log VALUES (40, 6, 32, 1700000000000131, 1795884773139978, 4449367563038793276, '01900000-0000-7000-8000-000000000083', 6, NULL, '\x7b226e223a3133317d');
INSERT INTO dumped_store.events_log VALUES (41, 6, 33, 1700000000000132, 1795884773139978, 2551468042317110852, '01900000-0000-7000-8000-000000000084', 6, NULL, '\x7b226e223a3133327d');
INSERT INTO dumped_store.events_log VALUES (42, 6, 34, 1700000000000133, 1795884773139978, 3113645223747690060, '01900000-0000-7000-8000-000000000085', 6, NULL, '\x7b226e223a3133337d');
INSERT INTO dumped_store.events_log VALUES (43, 6, 35, 1700000000000134, 1795884773139978, 1483672995675414100, '01900000-0000-7000-8000-000000000086', 6, NULL, '\x7b226e223a3133347d');
INSERT INTO dumped_store.events_log VALUES (44, 6, 36, 1700000000000135, 1795884773139978, 2074560487291526748, '01900000-0000-7000-8000-000000000087', 6, NULL, '\x7b226e223a3133357d');
INSERT INTO dumped_store.events_log VALUES (45, 6, 37, 1700000000000136, 1795884773139978, 1044216580513373796, '01900000-0000-7000-8000-000000000088', 6, NULL, '\x7b226e223a3133367d');
INSERT INTO dumped_store.events_log VALUES (46, 6, 38, 1700000000000137, 1795884773139978, 441506753328356972, '01900000-0000-7000-8000-000000000089', 6, NULL, '\x7b226e223a3133377d');
INSERT INTO dumped_store.events_log VALUES (47, 6, 39, 1700000000000138, 1795884773139978, 8577139294103314036, '01900000-0000-7000-8000-00000000008a', 6, NULL, '\x7b226e223a3133387d');
INSERT INTO dumped_store.events_log VALUES (48, 6, 40, 1700000000000139, 1795884773139978, 9175345100754165372, '01900000-0000-7000-8000-00000000008b', 6, NULL, '\x7b226e223a3133397d');
INSERT INTO dumped_store.events_log VALUES (49, 6, 41, 1700000000000140, 1795884773139978, 491563942180724356, '01900000-0000-7000-8000-00000000008c', 6, NULL, '\x7b226e223a3134307d');
INSERT INTO dumped_store.events_log VALUES (50, 6, 42, 1700000000000141, 1795884773139978, 1049096485847867020, '01900000-0000-7000-8000-00000000008d', 6, NULL, '\x7b226e223a3134317d');
INSERT INTO dumped_store.events_log VALUES (51, 6, 43, 1700000000000142, 1795884773139978, 1614786976296378004, '01900000-0000-7000-8000-00000000008e', 6, NULL, '\x7b226e223a3134327d');
INSERT INTO dumped_store.events_log VALUES (52, 6, 44, 1700000000000143, 1795884773139978, 2176823342929190556, '01900000-0000-7000-8000-00000000008f', 6, NULL, '\x7b226e223a3134337d');
INSERT INTO dumped_store.events_log VALUES (53, 6, 45, 1700000000000144, 1795884773139978, 3677146614462586532, '01900000-0000-7000-8000-000000000090', 6, NULL, '\x7b226e223a3134347d');
INSERT INTO dumped_store.events_log VALUES (54, 6, 46, 1700000000000145, 1795884773139978, 4276898068174118572, '01900000-0000-7000-8000-000000000091', 6, NULL, '\x7b226e223a3134357d');
INSERT INTO dumped_store.events_log VALUES (55, 6, 47, 1700000000000146, 1795884773139978, 2575315317799689908, '01900000-0000-7000-8000-000000000092', 6, NULL, '\x7b226e223a3134367d');
INSERT INTO dumped_store.events_log VALUES (56, 6, 48, 1700000000000147, 1795884773139978, 3161556470845316796, '01900000-0000-7000-8000-000000000093', 6, NULL, '\x7b226e223a3134377d');
INSERT INTO dumped_store.events_log VALUES (57, 6, 49, 1700000000000148, 1795884773139978, 6699312790518275780, '01900000-0000-7000-8000-000000000094', 6, NULL, '\x7b226e223a3134387d');
INSERT INTO dumped_store.events_log VALUES (58, 6, 50, 1700000000000149, 1795884773139978, 6099558356099440332, '01900000-0000-7000-8000-000000000095', 6, NULL, '\x7b226e223a3134397d');
INSERT INTO dumped_store.events_log VALUES (59, 6, 51, 1700000000000150, 1795884773139978, 4884733337531490004, '01900000-0000-7000-8000-000000000096', 6, NULL, '\x7b226e223a3135307d');
INSERT INTO dumped_store.events_log VALUES (60, 6, 52, 1700000000000151, 1795884773139978, 5446908483147570908, '01900000-0000-7000-8000-000000000097', 6, NULL, '\x7b226e223a3135317d');
INSERT INTO dumped_store.events_log VALUES (61, 6, 53, 1700000000000152, 1795884773139978, 6422364924085968612, '01900000-0000-7000-8000-000000000098', 6, NULL, '\x7b226e223a3135327d');
INSERT INTO dumped_store.events_log VALUES (62, 6, 54, 1700000000000153, 1795884773139978, 5872011804801146604, '01900000-0000-7000-8000-000000000099', 6, NULL, '\x7b226e223a3135337d');
INSERT INTO dumped_store.events_log VALUES (63, 6, 55, 1700000000000154, 1795884773139978, 7989210706389147380, '01900000-0000-7000-8000-00000000009a', 6, NULL, '\x7b226e223a3135347d');
INSERT INTO dumped_store.events_log VALUES (64, 6, 56, 1700000000000155, 1795884773139978, 7386503378875096828, '01900000-0000-7000-8000-00000000009b', 6, NULL, '\x7b226e223a3135357d');
INSERT INTO dumped_store.events_log VALUES (65, 6, 57, 1700000000000156, 1795884773139978, 8671073203131686660, '01900000-0000-7000-8000-00000000009c', 6, NULL, '\x7b226e223a3135367d');
INSERT INTO dumped_store.events_log VALUES (66, 6, 58, 1700000000000157, 1795884773139978, 8072867654178873100, '01900000-0000-7000-8000-00000000009d', 6, NULL, '\x7b226e223a3135377d');
INSERT INTO dumped_store.events_log VALUES (67, 6, 59, 1700000000000158, 1795884773139978, 81070218072465172, '01900000-0000-7000-8000-00000000009e', 6, NULL, '\x7b226e223a3135387d');
INSERT INTO dumped_store.events_log VALUES (68, 6, 60, 1700000000000159, 1795884773139978, 683779203443891996, '01900000-0000-7000-8000-00000000009f', 6, NULL, '\x7b226e223a3135397d');
INSERT INTO dumped_store.events_log VALUES (69, 6, 61, 1700000000000160, 1795884773139978, 1924229382026731300, '01900000-0000-7000-8000-0000000000a0', 6, NULL, '\x7b226e223a3136307d');
INSERT INTO dumped_store.events_log VALUES (70, 6, 62, 1700000000000161, 1795884773139978, 1362757880902754092, '01900000-0000-7000-8000-0000000000a1', 6, NULL, '\x7b226e223a3136317d');
INSERT INTO dumped_store.events_log VALUES (71, 6, 63, 1700000000000162, 1795884773139978, 724726131006283572, '01900000-0000-7000-8000-0000000000a2', 6, NULL, '\x7b226e223a3136327d');
INSERT INTO dumped_store.events_log VALUES (72, 6, 64, 1700000000000163, 1795884773139978, 167759002603790140, '01900000-0000-7000-8000-0000000000a3', 6, NULL, '\x7b226e223a3136337d');
INSERT INTO dumped_store.events_log VALUES (73, 6, 65, 1700000000000164, 1795884773139978, 4305786016059531076, '01900000-0000-7000-8000-0000000000a4', 6, NULL, '\x7b226e223a3136347d');
INSERT INTO dumped_store.events_log VALUES (74, 6, 66, 1700000000000165, 1795884773139978, 3718980358282321740, '01900000-0000-7000-8000-0000000000a5', 6, NULL, '\x7b226e223a3136357d');
INSERT INTO dumped_store.events_log VALUES (75, 6, 67, 1700000000000166, 1795884773139978, 3133304053565661012, '01900000-0000-7000-8000-0000000000a6', 6, NULL, '\x7b226e223a3136367d');
INSERT INTO dumped_store.events_log VALUES (76, 6, 68, 1700000000000167, 1795884773139978, 2532986789452488540, '01900000-0000-7000-8000-0000000000a7', 6, NULL, '\x7b226e223a3136377d');
INSERT INTO dumped_store.events_log VALUES (77, 6, 69, 1700000000000168, 1795884773139978, 6367588038621699940, '01900000-0000-7000-8000-0000000000a8', 6, NULL, '\x7b226e223a3136387d');
INSERT INTO dumped_store.events_log VALUES (78, 6, 70, 1700000000000169, 1795884773139978, 5765582697742376812, '01900000-0000-7000-8000-0000000000a9', 6, NULL, '\x7b226e223a3136397d');
INSERT INTO dumped_store.events_log VALUES (79, 6, 71, 1700000000000170, 1795884773139978, 5146635806824374132, '01900000-0000-7000-8000-0000000000aa', 6, NULL, '\x7b226e223a3137307d');
INSERT INTO dumped_store.events_log VALUES (80, 6, 72, 1700000000000171, 1795884773139978, 5706558259273572220, '01900000-0000-7000-8000-0000000000ab', 6, NULL, '\x7b226e223a3137317d');
INSERT INTO dumped_store.events_log VALUES (81, 6, 73, 1700000000000172, 1795884773139978, 5901459421284966276, '01900000-0000-7000-8000-0000000000ac', 6, NULL, '\x7b226e223a3137327d');
INSERT INTO dumped_store.events_log VALUES (82, 6, 74, 1700000000000173, 1795884773139978, 6465888600097726348, '01900000-0000-7000-8000-0000000000ad', 6, NULL, '\x7b226e223a3137337d');
INSERT INTO dumped_store.events_log VALUES (83, 6, 75, 1700000000000174, 1795884773139978, 7357052219043258260, '01900000-0000-7000-8000-0000000000ae', 6, NULL, '\x7b226e223a3137347d');
INSERT INTO dumped_store.events_log VALUES (84, 6, 76, 1700000000000175, 1795884773139978, 7945688383292088220, '01900000-0000-7000-8000-0000000000af', 6, NULL, '\x7b226e223a3137357d');
INSERT INTO dumped_store.events_log VALUES (85, 6, 77, 1700000000000176, 1795884773139978, 7220265825722343332, '01900000-0000-7000-8000-0000000000b0', 6, NULL, '\x7b226e223a3137367d');
INSERT INTO dumped_store.events_log VALUES (86, 6, 78, 1700000000000177, 1795884773139978, 7813403390575288236, '01900000-0000-7000-8000-0000000000b1', 6, NULL, '\x7b226e223a3137377d');
INSERT INTO dumped_store.events_log VALUES (87, 6, 79, 1700000000000178, 1795884773139978, 2109472773202157492, '01900000-0000-7000-8000-0000000000b2', 6, NULL, '\x7b226e223a3137387d');
INSERT INTO dumped_store.events_log VALUES (88, 6, 80, 1700000000000179, 1795884773139978, 1520839194523639740, '01900000-0000-7000-8000-0000000000b3', 6, NULL, '\x7b226e223a3137397d');
INSERT INTO dumped_store.events_log VALUES (89, 6, 81, 1700000000000180, 1795884773139978, 8121319843817496516, '01900000-0000-7000-8000-0000000000b4', 6, NULL, '\x7b226e223a3138307d');
INSERT INTO dumped_store.events_log VALUES (90, 6, 82, 1700000000000181, 1795884773139978, 8712767777126129612, '01900000-0000-7000-8000-0000000000b5', 6, NULL, '\x7b226e223a3138317d');
INSERT INTO dumped_store.events_log VALUES (91, 6, 83, 1700000000000182, 1795884773139978, 6921535238079422420, '01900000-0000-7000-8000-0000000000b6', 6, NULL, '\x7b226e223a3138327d');
INSERT INTO dumped_store.events_log VALUES (92, 6, 84, 1700000000000183, 1795884773139978, 7517487303591370716, '01900000-0000-7000-8000-0000000000b7', 6, NULL, '\x7b226e223a3138337d');
INSERT INTO dumped_store.events_log VALUES (93, 6, 85, 1700000000000184, 1795884773139978, 6746909590175260644, '01900000-0000-7000-8000-0000000000b8', 6, NULL, '\x7b226e223a3138347d');
INSERT INTO dumped_store.events_log VALUES (94, 6, 86, 1700000000000185, 1795884773139978, 6195994285441196012, '01900000-0000-7000-8000-0000000000b9', 6, NULL, '\x7b226e223a3138357d');
INSERT INTO dumped_store.events_log VALUES (95, 6, 87, 1700000000000186, 1795884773139978, 5556127442048032756, '01900000-0000-7000-8000-0000000000ba', 6, NULL, '\x7b226e223a3138367d');
INSERT INTO dumped_store.events_log VALUES (96, 6, 88, 1700000000000187, 1795884773139978, 4991700359179313148, '01900000-0000-7000-8000-0000000000bb', 6, NULL, '\x7b226e223a3138377d');
INSERT INTO dumped_store.events_log VALUES (97, 6, 89, 1700000000000188, 1795884773139978, 3629534778125099012, '01900000-0000-7000-8000-0000000000bc', 6, NULL, '\x7b226e223a3138387d');
INSERT INTO dumped_store.events_log VALUES (98, 6, 90, 1700000000000189, 1795884773139978, 4180452994846990348, '01900000-0000-7000-8000-0000000000bd', 6, NULL, '\x7b226e223a3138397d');
INSERT INTO dumped_store.events_log VALUES (99, 6, 91, 1700000000000190, 1795884773139978, 3272991907748421652, '01900000-0000-7000-8000-0000000000be', 6, NULL, '\x7b226e223a3139307d');
INSERT INTO dumped_store.events_log VALUES (100, 6, 92, 1700000000000191, 1795884773139978, 2679995492700692508, '01900000-0000-7000-8000-0000000000bf', 6, NULL, '\x7b226e223a3139317d');
INSERT INTO dumped_store.events_log VALUES (101, 6, 93, 1700000000000192, 1795884773139978, 9062633317682290724, '01900000-0000-7000-8000-0000000000c0', 6, NULL, '\x7b226e223a3139327d');
INSERT INTO dumped_store.events_log VALUES (102, 6, 94, 1700000000000193, 1795884773139978, 8473999352456716332, '01900000-0000-7000-8000-0000000000c1', 6, NULL, '\x7b226e223a3139337d');
INSERT INTO dumped_store.events_log VALUES (103, 6, 95, 1700000000000194, 1795884773139978, 5348942566195896372, '01900000-0000-7000-8000-0000000000c2', 6, NULL, '\x7b226e223a3139347d');
INSERT INTO dumped_store.events_log VALUES (104, 6, 96, 1700000000000195, 1795884773139978, 4784515586406391868, '01900000-0000-7000-8000-0000000000c3', 6, NULL, '\x7b226e223a3139357d');
INSERT INTO dumped_store.events_log VALUES (105, 6, 97, 1700000000000196, 1795884773139978, 6679389105099546692, '01900000-0000-7000-8000-0000000000c4', 6, NULL, '\x7b226e223a3139367d');
INSERT INTO dumped_store.events_log VALUES (106, 6, 98, 1700000000000197, 1795884773139978, 6119464453627093068, '01900000-0000-7000-8000-0000000000c5', 6, NULL, '\x7b226e223a3139377d');
INSERT INTO dumped_store.events_log VALUES (107, 6, 99, 1700000000000198, 1795884773139978, 2721342734837391444, '01900000-0000-7000-8000-0000000000c6', 6, NULL, '\x7b226e223a3139387d');
INSERT INTO dumped_store.events_log VALUES (108, 6, 100, 1700000000000199, 1795884773139978, 3285771424023879772, '01900000-0000-7000-8000-0000000000c7', 6, NULL, '\x7b226e223a3139397d');
INSERT INTO dumped_store.events_log VALUES (109, 6, 101, 1700000000000200, 1795884773139978, 2134442815412936804, '01900000-0000-7000-8000-0000000000c8', 6, NULL, '\x7b226e223a3230307d');
INSERT INTO dumped_store.events_log VALUES (110, 6, 102, 1700000000000201, 1795884773139978, 1567904756118233196, '01900000-0000-7000-8000-0000000000c9', 6, NULL, '\x7b226e223a3230317d');
INSERT INTO dumped_store.events_log VALUES (111, 6, 103, 1700000000000202, 1795884773139978, 947324446187888756, '01900000-0000-7000-8000-0000000000ca', 6, NULL, '\x7b226e223a3230327d');
INSERT INTO dumped_store.events_log VALUES (112, 6, 104, 1700000000000203, 1795884773139978, 394297993229148284, '01900000-0000-7000-8000-0000000000cb', 6, NULL, '\x7b226e223a3230337d');
INSERT INTO dumped_store.events_log VALUES (113, 6, 105, 1700000000000204, 1795884773139978, 4389344506018963588, '01900000-0000-7000-8000-0000000000cc', 6, NULL, '\x7b226e223a3230347d');
INSERT INTO dumped_store.events_log VALUES (114, 6, 106, 1700000000000205, 1795884773139978, 3798598189977870476, '01900000-0000-7000-8000-0000000000cd', 6, NULL, '\x7b226e223a3230357d');
INSERT INTO dumped_store.events_log VALUES (115, 6, 107, 1700000000000206, 1795884773139978, 3193218628301529236, '01900000-0000-7000-8000-0000000000ce', 6, NULL, '\x7b226e223a3230367d');
INSERT INTO dumped_store.events_log VALUES (116, 6, 108, 1700000000000207, 1795884773139978, 2597967939538952348, '01900000-0000-7000-8000-0000000000cf', 6, NULL, '\x7b226e223a3230377d');
INSERT INTO dumped_store.events_log VALUES (117, 6, 109, 1700000000000208, 1795884773139978, 5167264702250786980, '01900000-0000-7000-8000-0000000000d0', 6, NULL, '\x7b226e223a3230387d');
INSERT INTO dumped_store.events_log VALUES (118, 6, 110, 1700000000000209, 1795884773139978, 5758008948117643436, '01900000-0000-7000-8000-0000000000d1', 6, NULL, '\x7b226e223a3230397d');
INSERT INTO dumped_store.events_log VALUES (119, 6, 111, 1700000000000210, 1795884773139978, 6379205611624767668, '01900000-0000-7000-8000-0000000000d2', 6, NULL, '\x7b226e223a3231307d');
INSERT INTO dumped_store.events_log VALUES (120, 6, 112, 1700000000000211, 1795884773139978, 5826035912916771004, '01900000-0000-7000-8000-0000000000d3', 6, NULL, '\x7b226e223a3231317d');
INSERT INTO dumped_store.events_log VALUES (121, 6, 113, 1700000000000212, 1795884773139978, 5624373991345135812, '01900000-0000-7000-8000-0000000000d4', 6, NULL, '\x7b226e223a3231327d');
INSERT INTO dumped_store.events_log VALUES (122, 6, 114, 1700000000000213, 1795884773139978, 5066702582795378892, '01900000-0000-7000-8000-0000000000d5', 6, NULL, '\x7b226e223a3231337d');
INSERT INTO dumped_store.events_log VALUES (123, 6, 115, 1700000000000214, 1795884773139978, 8787218075969822932, '01900000-0000-7000-8000-0000000000d6', 6, NULL, '\x7b226e223a3231347d');
INSERT INTO dumped_store.events_log VALUES (124, 6, 116, 1700000000000215, 1795884773139978, 8191829157979791580, '01900000-0000-7000-8000-0000000000d7', 6, NULL, '\x7b226e223a3231357d');
INSERT INTO dumped_store.events_log VALUES (125, 6, 117, 1700000000000216, 1795884773139978, 7140639180753903844, '01900000-0000-7000-8000-0000000000d8', 6, NULL, '\x7b226e223a3231367d');
INSERT INTO dumped_store.events_log VALUES (126, 6, 118, 1700000000000217, 1795884773139978, 7729836121702703340, '01900000-0000-7000-8000-0000000000d9', 6, NULL, '\x7b226e223a3231377d');
INSERT INTO dumped_store.events_log VALUES (127, 6, 119, 1700000000000218, 1795884773139978, 1904308288620765428, '01900000-0000-7000-8000-0000000000da', 6, NULL, '\x7b226e223a3231387d');
INSERT INTO dumped_store.events_log VALUES (128, 6, 120, 1700000000000219, 1795884773139978, 1310608186131259644, '01900000-0000-7000-8000-0000000000db', 6, NULL, '\x7b226e223a3231397d');
INSERT INTO dumped_store.events_log VALUES (129, 6, 121, 1700000000000220, 1795884773139978, 2654968952342618372, '01900000-0000-7000-8000-0000000000dc', 6, NULL, '\x7b226e223a3232307d');
INSERT INTO dumped_store.events_log VALUES (130, 6, 122, 1700000000000221, 1795884773139978, 3207998128310624524, '01900000-0000-7000-8000-0000000000dd', 6, NULL, '\x7b226e223a3232317d');
INSERT INTO dumped_store.events_log VALUES (131, 6, 123, 1700000000000222, 1795884773139978, 3774820007634182420, '01900000-0000-7000-8000-0000000000de', 6, NULL, '\x7b226e223a3232327d');
INSERT INTO dumped_store.events_log VALUES (132, 6, 124, 1700000000000223, 1795884773139978, 4341359759146000668, '01900000-0000-7000-8000-0000000000df', 6, NULL, '\x7b226e223a3232337d');
INSERT INTO dumped_store.events_log VALUES (133, 6, 125, 1700000000000224, 1795884773139978, 2345332184309735716, '01900000-0000-7000-8000-0000000000e0', 6, NULL, '\x7b226e223a3232347d');
INSERT INTO dumped_store.events_log VALUES (134, 6, 126, 1700000000000225, 1795884773139978, 2941143357714506028, '01900000-0000-7000-8000-0000000000e1', 6, NULL, '\x7b226e223a3232357d');
INSERT INTO dumped_store.events_log VALUES (135, 6, 127, 1700000000000226, 1795884773139978, 3474186040809529652, '01900000-0000-7000-8000-0000000000e2', 6, NULL, '\x7b226e223a3232367d');
INSERT INTO dumped_store.events_log VALUES (136, 6, 128, 1700000000000227, 1795884773139978, 4065493391248630076, '01900000-0000-7000-8000-0000000000e3', 6, NULL, '\x7b226e223a3232377d');
INSERT INTO dumped_store.events_log VALUES (137, 6, 129, 1700000000000228, 1795884773139978, 5724971305910051140, '01900000-0000-7000-8000-0000000000e4', 6, NULL, '\x7b226e223a3232387d');
INSERT INTO dumped_store.events_log VALUES (138, 6, 130, 1700000000000229, 1795884773139978, 5129158440288166220, '01900000-0000-7000-8000-0000000000e5', 6, NULL, '\x7b226e223a3232397d');
INSERT INTO dumped_store.events_log VALUES (139, 6, 131, 1700000000000230, 1795884773139978, 5783076535478165844, '01900000-0000-7000-8000-0000000000e6', 6, NULL, '\x7b226e223a3233307d');
INSERT INTO dumped_store.events_log VALUES (140, 6, 132, 1700000000000231, 1795884773139978, 6349191497544540508, '01900000-0000-7000-8000-0000000000e7', 6, NULL, '\x7b226e223a3233317d');
INSERT INTO dumped_store.events_log VALUES (141, 6, 133, 1700000000000232, 1795884773139978, 5380465304718713188, '01900000-0000-7000-8000-0000000000e8', 6, NULL, '\x7b226e223a3233327d');
INSERT INTO dumped_store.events_log VALUES (142, 6, 134, 1700000000000233, 1795884773139978, 4825046039580025196, '01900000-0000-7000-8000-0000000000e9', 6, NULL, '\x7b226e223a3233337d');
INSERT INTO dumped_store.events_log VALUES (143, 6, 135, 1700000000000234, 1795884773139978, 9031109922029478260, '01900000-0000-7000-8000-0000000000ea', 6, NULL, '\x7b226e223a3233347d');
INSERT INTO dumped_store.events_log VALUES (144, 6, 136, 1700000000000235, 1795884773139978, 8433469547823145340, '01900000-0000-7000-8000-0000000000eb', 6, NULL, '\x7b226e223a3233357d');
INSERT INTO dumped_store.events_log VALUES (145, 6, 137, 1700000000000236, 1795884773139978, 7772726199843987844, '01900000-0000-7000-8000-0000000000ec', 6, NULL, '\x7b226e223a3233367d');
INSERT INTO dumped_store.events_log VALUES (146, 6, 138, 1700000000000237, 1795884773139978, 7170579649029906828, '01900000-0000-7000-8000-0000000000ed', 6, NULL, '\x7b226e223a3233377d');
INSERT INTO dumped_store.events_log VALUES (147, 6, 139, 1700000000000238, 1795884773139978, 1345334390436307348, '01900000-0000-7000-8000-0000000000ee', 6, NULL, '\x7b226e223a3233387d');
INSERT INTO dumped_store.events_log VALUES (148, 6, 140, 1700000000000239, 1795884773139978, 1942977779709682076, '01900000-0000-7000-8000-0000000000ef', 6, NULL, '\x7b226e223a3233397d');
INSERT INTO dumped_store.events_log VALUES (149, 6, 141, 1700000000000240, 1795884773139978, 8633775004906070436, '01900000-0000-7000-8000-0000000000f0', 6, NULL, '\x7b226e223a3234307d');
INSERT INTO dumped_store.events_log VALUES (150, 6, 142, 1700000000000241, 1795884773139978, 9190744993756783020, '01900000-0000-7000-8000-0000000000f1', 6, NULL, '\x7b226e223a3234317d');
INSERT INTO dumped_store.events_log VALUES (151, 6, 143, 1700000000000242, 1795884773139978, 7452285722898375092, '01900000-0000-7000-8000-0000000000f2', 6, NULL, '\x7b226e223a3234327d');
INSERT INTO dumped_store.events_log VALUES (152, 6, 144, 1700000000000243, 1795884773139978, 8013758744440775100, '01900000-0000-7000-8000-0000000000f3', 6, NULL, '\x7b226e223a3234337d');
INSERT INTO dumped_store.events_log VALUES (153, 6, 145, 1700000000000244, 1795884773139978, 6243204471469547972, '01900000-0000-7000-8000-0000000000f4', 6, NULL, '\x7b226e223a3234347d');
INSERT INTO dumped_store.events_log VALUES (154, 6, 146, 1700000000000245, 1795884773139978, 6843518823594893772, '01900000-0000-7000-8000-0000000000f5', 6, NULL, '\x7b226e223a3234357d');
INSERT INTO dumped_store.events_log VALUES (155, 6, 147, 1700000000000246, 1795884773139978, 5052708505603187156, '01900000-0000-7000-8000-0000000000f6', 6, NULL, '\x7b226e223a3234367d');
INSERT INTO dumped_store.events_log VALUES (156, 6, 148, 1700000000000247, 1795884773139978, 5639512660141842908, '01900000-0000-7000-8000-0000000000f7', 6, NULL, '\x7b226e223a3234377d');
INSERT INTO dumped_store.events_log VALUES (157, 6, 149, 1700000000000248, 1795884773139978, 3835764406005965284, '01900000-0000-7000-8000-0000000000f8', 6, NULL, '\x7b226e223a3234387d');
INSERT INTO dumped_store.events_log VALUES (158, 6, 150, 1700000000000249, 1795884773139978, 4424256774749725164, '01900000-0000-7000-8000-0000000000f9', 6, NULL, '\x7b226e223a3234397d');
INSERT INTO dumped_store.events_record_index VALUES ('', 'doc', 'n', 0, -9223372036854775808, 0, '\x', 'c');
INSERT INTO dumped_store.events_records VALUES ('', 'doc', 'a', 2, '00000000-0000-0000-0000-000000000063', -5, '\x7468726565');
INSERT INTO dumped_store.events_records VALUES ('', 'doc', 'b', 2, '00000000-0000-0000-0000-000000000063', NULL, NULL);
INSERT INTO dumped_store.events_records VALUES ('', 'doc', 'c', 1, '00000000-0000-0000-0000-000000000063', 7, '\x');
INSERT INTO dumped_store.events_runs VALUES ('01900000-0000-7000-8000-000000000001', '01900000-0000-7000-8000-000000000002', 1, 1, 1, 0, 2);
INSERT INTO dumped_store.events_runs VALUES ('01900000-0000-7000-8000-000000000009', '01900000-0000-7000-8000-000000000009', 2, 1, 3, 0, 1);
INSERT INTO dumped_store.events_runs VALUES ('01900000-0000-7000-8000-000000000014', '01900000-0000-7000-8000-000000000014', 1, 3, 4, 3606921513606588515, 1);
INSERT INTO dumped_store.events_runs VALUES ('01900000-0000-7000-8000-00000000001e', '01900000-0000-7000-8000-00000000001e', 3, 1, 5, 0, 1);
INSERT INTO dumped_store.events_runs VALUES ('01900000-0000-7000-8000-000000000028', '01900000-0000-7000-8000-000000000029', 4, 0, 6, 0, 2);
INSERT INTO dumped_store.events_runs VALUES ('01900000-0000-7000-8000-000000000032', '01900000-0000-7000-8000-000000000032', 5, 0, 8, 0, 1);
INSERT INTO dumped_store.events_runs VALUES ('01900000-0000-7000-8000-000000000064', '01900000-0000-7000-8000-0000000000f9', 6, 1, 9, 0, 150);
INSERT INTO dumped_store.events_streams OVERRIDING SYSTEM VALUE VALUES (2, 1, 3, '', 'Order', 'acc-1');
INSERT INTO dumped_store.events_streams OVERRIDING SYSTEM VALUE VALUES (1, 3, 4, '', 'Account', 'acc-1');
INSERT INTO dumped_store.events_streams OVERRIDING SYSTEM VALUE VALUES (3, 1, 5, 'acme', 'Ünï/c', 'ö');
INSERT INTO dumped_store.events_streams OVERRIDING SYSTEM VALUE VALUES (4, 0, 0, '', '', '');
INSERT INTO dumped_store.events_streams OVERRIDING SYSTEM VALUE VALUES (5, 0, 0, 'acme', '', '');
INSERT INTO dumped_store.events_streams OVERRIDING SYSTEM VALUE VALUES (6, 150, 158, '', 'Account', 'many');
INSERT INTO dumped_store.events_tags VALUES ('', 'vip', 1);
INSERT INTO dumped_store.events_tags VALUES ('', 'new', 1);
INSERT INTO dumped_store.events_tags VALUES ('acme', 'vip', 5);
INSERT INTO dumped_store.events_tags VALUES ('', 'vip', 6);
SELECT pg_catalog.setval('dumped_store.events_clock', 1795884773139978, true);
SELECT pg_catalog.setval('dumped_store.events_kinds_id_seq', 6, true);
SELECT pg_catalog.setval('dumped_store.events_position', 158, true);
SELECT pg_catalog.setval('dumped_store.events_streams_id_seq', 6, true);
ALTER TABLE ONLY dumped_store.events_format
    ADD CONSTRAINT events_format_pkey PRIMARY KEY (version);
ALTER TABLE ONLY dumped_store.events_kind_spans
    ADD CONSTRAINT events_kind_spans_pkey PRIMARY KEY (kind, first);
ALTER TABLE ONLY dumped_store.events_kinds
    ADD CONSTRAINT events_kinds_event_type_event_version_codec_key UNIQUE (event_type, event_version, codec);
ALTER TABLE ONLY dumped_store.events_kinds
    ADD CONSTRAINT events_kinds_pkey PRIMARY KEY (id);
ALTER TABLE ONLY dumped_store.events_log
    ADD CONSTRAINT events_log_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY dumped_store.events_record_index
    ADD CONSTRAINT events_record_index_pkey PRIMARY KEY (tenant, space, name, rank, whole, fraction, words, key);
ALTER TABLE ONLY dumped_store.events_records
    ADD CONSTRAINT events_records_pkey PRIMARY KEY (tenant, space, key);
ALTER TABLE ONLY dumped_store.events_runs
    ADD CONSTRAINT events_runs_pkey PRIMARY KEY (first_id);
ALTER TABLE ONLY dumped_store.events_streams
    ADD CONSTRAINT events_streams_pkey PRIMARY KEY (id);
ALTER TABLE ONLY dumped_store.events_streams
    ADD CONSTRAINT events_streams_tenant_aggregate_type_aggregate_id_key UNIQUE (tenant, aggregate_type, aggregate_id);
ALTER TABLE ONLY dumped_store.events_tags
    ADD CONSTRAINT events_tags_pkey PRIMARY KEY (tenant, tag, "position");
CREATE INDEX events_record_index_tenant_space_key_idx ON dumped_store.events_record_index USING btree (tenant, space, key);
CREATE INDEX events_records_tenant_space_due_key_idx ON dumped_store.events_records USING btree (tenant, space, due, key) WHERE (due IS NOT NULL);
CREATE UNIQUE INDEX events_runs_stream_first_version_idx ON dumped_store.events_runs USING btree (stream, first_version) WHERE (first_version > 0);
CREATE TRIGGER stays BEFORE DELETE OR UPDATE OR TRUNCATE ON dumped_store.events_log FOR EACH STATEMENT EXECUTE FUNCTION dumped_store.events_refuse();
