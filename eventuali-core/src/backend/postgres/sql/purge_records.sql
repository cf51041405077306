-- Up to the last of the first keys: a range is found by the index, whatever is known of the table.
WITH until AS MATERIALIZED (
    SELECT max(f.key) AS key
    FROM (SELECT r.key FROM {records} AS r WHERE r.tenant = $1 AND r.space = $2 ORDER BY r.key LIMIT $3) AS f
),
purged AS (
    DELETE FROM {records} AS r
    WHERE r.tenant = $1 AND r.space = $2 AND r.key <= (SELECT u.key FROM until AS u) AND {same}()
    RETURNING r.key
),
entries AS (
    DELETE FROM {record_index} AS i
    WHERE i.tenant = $1 AND i.space = $2 AND i.key <= (SELECT u.key FROM until AS u) AND {same}()
)
SELECT count(*) FROM purged
