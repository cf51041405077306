-- Format 3. The words of a record's text, with a space between two, and each once behind letters for its tenant and
-- space, so that a search meets no others; NULL without a text.
ALTER TABLE {records} ADD COLUMN text TEXT COLLATE "C", ADD COLUMN lexemes TSVECTOR;

CREATE INDEX ON {records} USING gin (lexemes) WHERE lexemes IS NOT NULL;

-- As it was, and another one than in format 2: whoever has this open with that format, and would leave words behind
-- when a text changes, is told that the tables are others, and looks at the format.
CREATE OR REPLACE FUNCTION {stamp}() RETURNS TEXT LANGUAGE sql STABLE AS $$
    SELECT concat_ws(
        ' ',
        '{log}'::regclass::oid, pg_relation_filenode('{log}'::regclass),
        '{streams}'::regclass::oid, pg_relation_filenode('{streams}'::regclass),
        '{kinds}'::regclass::oid, pg_relation_filenode('{kinds}'::regclass),
        '{records}'::regclass::oid, pg_relation_filenode('{records}'::regclass),
        'format 3'
    )
$$;

-- As it was, without a text.
CREATE OR REPLACE FUNCTION {keep}(
    k_tenant TEXT[], k_space TEXT[], k_key TEXT[],
    k_version BIGINT[], k_commit UUID[], k_due BIGINT[], k_bytes BYTEA[],
    i_tenant TEXT[], i_space TEXT[], i_key TEXT[], i_name TEXT[],
    i_rank SMALLINT[], i_whole BIGINT[], i_fraction DOUBLE PRECISION[], i_words BYTEA[]
)
RETURNS VOID
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE {records} AS r
    SET version = n.version, commit_id = n.commit_id, due = n.due, bytes = n.bytes, text = NULL, lexemes = NULL
    FROM unnest(k_tenant, k_space, k_key, k_version, k_commit, k_due, k_bytes)
        AS n (tenant, space, key, version, commit_id, due, bytes)
    WHERE r.tenant = n.tenant AND r.space = n.space AND r.key = n.key;
    DELETE FROM {record_index} AS i
    USING unnest(k_tenant, k_space, k_key) AS n (tenant, space, key)
    WHERE i.tenant = n.tenant AND i.space = n.space AND i.key = n.key;
    INSERT INTO {record_index} (tenant, space, key, name, rank, whole, fraction, words)
    SELECT * FROM unnest(i_tenant, i_space, i_key, i_name, i_rank, i_whole, i_fraction, i_words);
END $$;

-- The same for records of which some have a text. Words that are there are not written again.
CREATE FUNCTION {keep_texts}(
    k_tenant TEXT[], k_space TEXT[], k_key TEXT[],
    k_version BIGINT[], k_commit UUID[], k_due BIGINT[], k_bytes BYTEA[],
    k_text TEXT[], k_lexemes TEXT[],
    i_tenant TEXT[], i_space TEXT[], i_key TEXT[], i_name TEXT[],
    i_rank SMALLINT[], i_whole BIGINT[], i_fraction DOUBLE PRECISION[], i_words BYTEA[]
)
RETURNS VOID
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE {records} AS r
    SET version = n.version, commit_id = n.commit_id, due = n.due, bytes = n.bytes, text = n.text,
        lexemes = CASE WHEN r.text = n.text THEN r.lexemes ELSE n.lexemes::TSVECTOR END
    FROM unnest(k_tenant, k_space, k_key, k_version, k_commit, k_due, k_bytes, k_text, k_lexemes)
        AS n (tenant, space, key, version, commit_id, due, bytes, text, lexemes)
    WHERE r.tenant = n.tenant AND r.space = n.space AND r.key = n.key;
    DELETE FROM {record_index} AS i
    USING unnest(k_tenant, k_space, k_key) AS n (tenant, space, key)
    WHERE i.tenant = n.tenant AND i.space = n.space AND i.key = n.key;
    INSERT INTO {record_index} (tenant, space, key, name, rank, whole, fraction, words)
    SELECT * FROM unnest(i_tenant, i_space, i_key, i_name, i_rank, i_whole, i_fraction, i_words);
END $$;
