WITH purged AS (
    DELETE FROM {records}
    WHERE
        tenant = $1 AND space = $2 AND {same}()
        AND key IN (SELECT r.key FROM {records} AS r WHERE r.tenant = $1 AND r.space = $2 ORDER BY r.key LIMIT $3)
    RETURNING key
),
entries AS (
    DELETE FROM {record_index} AS i USING purged AS p
    WHERE i.tenant = $1 AND i.space = $2 AND i.key = p.key
)
SELECT count(*) FROM purged
