-- Format 2. Which store this is, wherever a copy of it is kept.
CREATE TABLE {store} (id UUID PRIMARY KEY DEFAULT gen_random_uuid());
INSERT INTO {store} DEFAULT VALUES;

-- Which tables these are, and their files: other ones where they were made anew, restored or emptied.
CREATE FUNCTION {stamp}() RETURNS TEXT LANGUAGE sql STABLE AS $$
    SELECT concat_ws(
        ' ',
        '{log}'::regclass::oid, pg_relation_filenode('{log}'::regclass),
        '{streams}'::regclass::oid, pg_relation_filenode('{streams}'::regclass),
        '{kinds}'::regclass::oid, pg_relation_filenode('{kinds}'::regclass),
        '{records}'::regclass::oid, pg_relation_filenode('{records}'::regclass)
    )
$$;

-- Whether the tables are those that this session began with: what it remembers holds for them only.
-- A session of somebody else remembers nothing.
CREATE FUNCTION {same}() RETURNS BOOLEAN LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF current_setting('eventuali.stamp', true) <> {stamp}() THEN
        RAISE EXCEPTION 'the tables of the store have been replaced' USING ERRCODE = 'EVREP';
    END IF;
    RETURN true;
END $$;

-- As it was, and no writer goes on in other tables.
CREATE OR REPLACE FUNCTION {pass}(alone BOOLEAN, families BIGINT[]) RETURNS VOID
LANGUAGE plpgsql AS $$
DECLARE
    gate CONSTANT INTEGER := '{log}'::regclass::oid::bigint::bit(32)::integer;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'a writer needs READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
    END IF;
    IF {same}() THEN
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

-- Whether a call of append is worth its locks. It names new streams before it judges, under locks,
-- and their names stay; so what is already seen to be refused does not get there. Streams that are
-- there keep their rows whatever happens.
CREATE FUNCTION {may}(
    tenants TEXT[], types TEXT[], ids TEXT[], expected BIGINT[], r_first UUID[], r_last UUID[]
)
RETURNS BOOLEAN LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF cardinality(ids) = 1 AND EXISTS (
        SELECT FROM {streams} AS s
        WHERE s.tenant = tenants[1] AND s.aggregate_type = types[1] AND s.aggregate_id = ids[1]
    ) THEN
        RETURN true;
    END IF;
    RETURN NOT EXISTS (
        SELECT FROM unnest(tenants, types, ids, expected) AS n (tenant, type, id, version)
        LEFT JOIN {streams} AS s
            ON s.tenant = n.tenant AND s.aggregate_type = n.type AND s.aggregate_id = n.id
        WHERE CASE n.version
            WHEN -1 THEN false
            WHEN -2 THEN coalesce(s.version, 0) = 0
            ELSE coalesce(s.version, 0) <> n.version
        END
    ) AND NOT EXISTS (
        SELECT FROM unnest(r_first, r_last) AS r (first_id, last_id)
        CROSS JOIN LATERAL (
            SELECT k.last_id FROM {runs} AS k
            WHERE k.first_id <= r.last_id ORDER BY k.first_id DESC LIMIT 1
        ) AS known
        WHERE known.last_id >= r.first_id
    );
END $$;

-- What the log is found by says for ever what it says, as the log does.
CREATE TRIGGER stays BEFORE UPDATE OR DELETE OR TRUNCATE ON {kinds}
FOR EACH STATEMENT EXECUTE FUNCTION {refuse}();
CREATE TRIGGER stays BEFORE UPDATE OF id, tenant, aggregate_type, aggregate_id OR DELETE OR TRUNCATE ON {streams}
FOR EACH STATEMENT EXECUTE FUNCTION {refuse}();
CREATE TRIGGER stays BEFORE UPDATE OR DELETE OR TRUNCATE ON {runs}
FOR EACH STATEMENT EXECUTE FUNCTION {refuse}();
CREATE TRIGGER stays BEFORE UPDATE OR DELETE OR TRUNCATE ON {kind_spans}
FOR EACH STATEMENT EXECUTE FUNCTION {refuse}();
CREATE TRIGGER stays BEFORE UPDATE OR DELETE OR TRUNCATE ON {tags}
FOR EACH STATEMENT EXECUTE FUNCTION {refuse}();
