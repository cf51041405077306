-- Row-level security: a role that is given a tenant sees and changes rows of that tenant only. It is made by the owner of
-- the tables, once, and again after an upgrade. The owner, superusers and roles with BYPASSRLS see everything, as before;
-- any other role sees nothing until it is given a tenant.
DO $$ BEGIN
    IF current_setting('server_version_num')::integer < 150000 THEN
        RAISE EXCEPTION 'row-level security of a store needs PostgreSQL 15, whose views ask for their reader';
    END IF;
END $$;

-- No role but the owner reads or writes this.
CREATE TABLE IF NOT EXISTS {roles} (
    role NAME PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL CHECK (tenant ~ '^[A-Za-z0-9_-]{1,64}$')
);
ALTER TABLE {roles} ENABLE ROW LEVEL SECURITY;

-- The tenant of whoever asks; NULL without one. No setting says it, for a role can make any setting; and no role takes
-- another one's place without being a member of it.
CREATE OR REPLACE FUNCTION {whose}() RETURNS TEXT
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.tenant FROM {roles} AS r
    WHERE r.role = coalesce(nullif(current_setting('role', true), 'none'), session_user)::name
$$;

-- From here on: what a role with a tenant calls in the place of what it may not do itself. Positions, ids and the end of the
-- log are of all tenants, so that these run as the owner, and look at what they are given first.
CREATE OR REPLACE FUNCTION {own}(tenants TEXT[]) RETURNS BOOLEAN
LANGUAGE plpgsql STABLE AS $$
DECLARE
    mine CONSTANT TEXT := {whose}();
BEGIN
    IF EXISTS (SELECT FROM unnest(tenants) AS t (tenant) WHERE t.tenant IS DISTINCT FROM mine) THEN
        RAISE EXCEPTION 'the role is restricted to its tenant' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN true;
END $$;

-- How many ids there are from the first to the last, if so few that they differ at the end alone.
CREATE OR REPLACE FUNCTION {ids}(first_id UUID, last_id UUID) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN left(first_id::text, 24) = left(last_id::text, 24)
        THEN ('x' || right(last_id::text, 12))::bit(48)::bigint - ('x' || right(first_id::text, 12))::bit(48)::bigint + 1
    END
$$;

-- A wide range would tell where others' ids lie.
CREATE OR REPLACE FUNCTION {narrow}(first_ids UUID[], last_ids UUID[]) RETURNS BOOLEAN LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF EXISTS (
        SELECT FROM unnest(first_ids, last_ids) AS r (first_id, last_id)
        WHERE ({ids}(r.first_id, r.last_id) BETWEEN 1 AND 10000) IS NOT TRUE
    ) THEN
        RAISE EXCEPTION 'these are no ids of one commit' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN true;
END $$;

CREATE OR REPLACE FUNCTION {append_as}(
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
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    many CONSTANT BIGINT := cardinality(e_id);
BEGIN
    IF {own}(s_tenant || t_tenant) AND {narrow}(r_first, r_last) AND (
        -- Numbers of streams that are there, of this tenant; kinds that are there.
        EXISTS (
            SELECT FROM unnest(loose) AS n (id) LEFT JOIN {streams} AS s ON s.id = n.id
            WHERE (s.tenant = {whose}() AND s.aggregate_type = '' AND s.aggregate_id = '') IS NOT TRUE
        )
        OR EXISTS (
            SELECT FROM unnest(e_kind) AS e (kind)
            WHERE NOT EXISTS (SELECT FROM {kinds} AS k WHERE k.id = e.kind)
        )
        -- Entries of the indexes that are about these events alone.
        OR EXISTS (
            SELECT FROM unnest(r_first, r_last, r_place, r_count) AS r (first_id, last_id, place, count)
            WHERE (
                r.place >= 1 AND r.count >= 1 AND r.place::bigint + r.count - 1 <= many
                AND e_id[r.place] = r.first_id AND {ids}(r.first_id, r.last_id) = r.count
            ) IS NOT TRUE
        )
        OR (SELECT coalesce(sum(r.count), 0) FROM unnest(r_count) AS r (count)) <> many
        OR EXISTS (
            SELECT FROM unnest(k_kind, k_first, k_last) AS k (kind, first, last)
            WHERE (k.first >= 1 AND k.last BETWEEN k.first AND many AND e_kind[k.first] = k.kind) IS NOT TRUE
        )
        OR EXISTS (SELECT FROM unnest(t_place || s_last) AS p (place) WHERE (p.place BETWEEN 0 AND many) IS NOT TRUE)
    ) THEN
        RAISE EXCEPTION 'this is no commit of the tenant' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT a.first_position, a.written_at, a.heads, a.heard
    INTO first_position, written_at, heads, heard
    FROM {append}(
        families, s_tenant, s_type, s_id, s_expected, s_added, s_last, loose, e_stream, e_number, e_id, e_kind,
        e_timestamp, e_crc, e_metadata, e_payload, r_first, r_last, r_place, r_count, r_records, k_kind, k_first, k_last,
        t_tenant, t_tag, t_place
    ) AS a;
END $$;

CREATE OR REPLACE FUNCTION {look_as}(
    alone BOOLEAN, families BIGINT[], s_tenant TEXT[], s_type TEXT[], s_id TEXT[],
    k_tenant TEXT[], k_space TEXT[], k_key TEXT[], r_first UUID[], r_last UUID[],
    OUT heads BIGINT[], OUT versions BIGINT[], OUT commits UUID[], OUT present BOOLEAN[], OUT known BOOLEAN[]
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF {own}(s_tenant || k_tenant) AND {narrow}(r_first, r_last) THEN
    END IF;
    SELECT l.heads, l.versions, l.commits, l.present, l.known
    INTO heads, versions, commits, present, known
    FROM {look}(alone, families, s_tenant, s_type, s_id, k_tenant, k_space, k_key, r_first, r_last) AS l;
END $$;

CREATE OR REPLACE FUNCTION {may_as}(
    tenants TEXT[], types TEXT[], ids TEXT[], expected BIGINT[], r_first UUID[], r_last UUID[]
)
RETURNS BOOLEAN LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN {own}(tenants) AND {narrow}(r_first, r_last) AND {may}(tenants, types, ids, expected, r_first, r_last);
END $$;

CREATE OR REPLACE FUNCTION {loose_as}(tenant TEXT) RETURNS VOID
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF {own}(ARRAY[$1]) THEN
    END IF;
    INSERT INTO {streams} (version, last_position, tenant, aggregate_type, aggregate_id)
    VALUES (0, 0, $1, '', '') ON CONFLICT (tenant, aggregate_type, aggregate_id) DO NOTHING;
END $$;

-- Where ids are stored. Of another tenant's, no more than that they are.
CREATE OR REPLACE FUNCTION {runs_as}(ids UUID[])
RETURNS TABLE (first_id UUID, last_id UUID, "position" BIGINT, records BIGINT)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT
        CASE WHEN r.mine THEN r.first_id WHEN r.first_id IS NOT NULL THEN i.id END,
        CASE WHEN r.mine THEN r.last_id WHEN r.first_id IS NOT NULL THEN i.id END,
        CASE WHEN r.mine THEN r.position WHEN r.first_id IS NOT NULL THEN 0 END,
        CASE WHEN r.mine THEN r.records WHEN r.first_id IS NOT NULL THEN 0 END
    FROM unnest(ids) WITH ORDINALITY AS i (id, place)
    LEFT JOIN LATERAL (
        SELECT
            k.first_id, k.last_id, k.position, k.records,
            EXISTS (SELECT FROM {streams} AS s WHERE s.id = k.stream AND s.tenant = (SELECT {whose}())) AS mine
        FROM {runs} AS k
        WHERE k.first_id <= i.id ORDER BY k.first_id DESC LIMIT 1
    ) AS r ON r.last_id >= i.id
    ORDER BY i.place
$$;

CREATE OR REPLACE FUNCTION {horizon_as}() RETURNS BIGINT
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT {horizon}() $$;

CREATE OR REPLACE FUNCTION {last_as}() RETURNS BIGINT
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT coalesce(max(position), 0) FROM {log} $$;

REVOKE ALL ON FUNCTION
    {append_as}, {look_as}, {may_as}, {loose_as}, {runs_as}, {horizon_as}, {last_as}
FROM PUBLIC;

DROP POLICY IF EXISTS tenant ON {streams};
CREATE POLICY tenant ON {streams} FOR SELECT USING (tenant = (SELECT {whose}()));
DROP POLICY IF EXISTS tenant ON {log};
CREATE POLICY tenant ON {log} FOR SELECT
USING (EXISTS (SELECT FROM {streams} AS s WHERE s.id = stream AND s.tenant = (SELECT {whose}())));
DROP POLICY IF EXISTS tenant ON {runs};
CREATE POLICY tenant ON {runs} FOR SELECT
USING (EXISTS (SELECT FROM {streams} AS s WHERE s.id = stream AND s.tenant = (SELECT {whose}())));
-- A span is of one commit.
DROP POLICY IF EXISTS tenant ON {kind_spans};
CREATE POLICY tenant ON {kind_spans} FOR SELECT
USING (EXISTS (SELECT FROM {log} AS l WHERE l.position = first));
DROP POLICY IF EXISTS tenant ON {tags};
CREATE POLICY tenant ON {tags} FOR SELECT USING (tenant = (SELECT {whose}()));
DROP POLICY IF EXISTS tenant ON {records};
CREATE POLICY tenant ON {records} USING (tenant = (SELECT {whose}())) WITH CHECK (tenant = (SELECT {whose}()));
DROP POLICY IF EXISTS tenant ON {record_index};
CREATE POLICY tenant ON {record_index} USING (tenant = (SELECT {whose}())) WITH CHECK (tenant = (SELECT {whose}()));

ALTER TABLE {streams} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {log} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {runs} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {kind_spans} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {tags} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {records} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {record_index} ENABLE ROW LEVEL SECURITY;
ALTER VIEW {events} SET (security_invoker = true);
ALTER VIEW {documents} SET (security_invoker = true);
