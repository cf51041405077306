WITH bounds AS MATERIALIZED (
    SELECT
        s.id,
        greatest($4, CASE
            WHEN $6 >= s.last_position THEN s.version WHEN $6 > 0 THEN {version_at}(s.id, s.version, $6) ELSE 0
        END) AS after_version,
        least($5, CASE
            WHEN $7 >= s.last_position THEN s.version WHEN $7 > 0 THEN {version_at}(s.id, s.version, $7) ELSE 0
        END) AS until_version,
        s.last_position,
        (
            SELECT r.first_version + r.count - 1 FROM {runs} AS r
            WHERE r.stream = s.id AND r.first_version > 0 ORDER BY r.first_version DESC LIMIT 1
        ) IS DISTINCT FROM nullif(s.version, 0) AS torn
    FROM {streams} AS s
    WHERE s.tenant = $1 AND s.aggregate_type = $2 AND s.aggregate_id = $3
),
chosen AS MATERIALIZED (
    SELECT
        r.position + greatest(b.after_version + 1 - r.first_version, 0) AS first,
        r.position + least(b.until_version - r.first_version, r.count - 1) AS last
    FROM bounds AS b
    CROSS JOIN LATERAL (
        SELECT k.position, k.first_version, k.count FROM {runs} AS k
        WHERE
            k.stream = b.id AND k.first_version > 0
            AND k.first_version >= coalesce(
                (
                    SELECT max(m.first_version) FROM {runs} AS m
                    WHERE m.stream = b.id AND m.first_version > 0 AND m.first_version <= b.after_version + 1
                ), 1
            )
            AND k.first_version <= b.until_version
        ORDER BY k.first_version /* DESC */ LIMIT $8 + 1
    ) AS r
),
spans AS MATERIALIZED (
    SELECT first, last
    FROM (SELECT *, sum(last - first + 1) OVER (ORDER BY first /* DESC */) AS total FROM chosen WHERE first <= last) AS counted
    WHERE total - (last - first + 1) < $8
)
-- First what is known of the rows that follow: from which version to which they must go.
SELECT
    b.last_position AS position, b.id AS stream, b.after_version AS version, b.torn::integer AS kind,
    NULL::uuid AS event_id, b.until_version AS timestamp, NULL::bigint AS recorded_at,
    NULL::bigint AS checksum, NULL::text AS metadata, NULL::bytea AS payload
FROM bounds AS b
UNION ALL
SELECT * FROM (
    SELECT
        e.position, e.stream, e.version, e.kind, e.event_id, e.timestamp, e.recorded_at, e.checksum,
        CASE WHEN octet_length(e.metadata) <= $9 THEN e.metadata END,
        CASE WHEN octet_length(e.payload) + coalesce(octet_length(e.metadata), 0) <= $9 THEN e.payload END
    FROM spans AS s
    CROSS JOIN LATERAL (
        SELECT * FROM {log} AS l WHERE l.position BETWEEN s.first AND s.last
        ORDER BY l.position /* DESC */ LIMIT $8
    ) AS e
    ORDER BY e.position /* DESC */ LIMIT $8
) AS e
