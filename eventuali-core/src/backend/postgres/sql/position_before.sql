WITH RECURSIVE search (low, high) AS (
    SELECT $1::bigint, $2::bigint
    UNION ALL
    SELECT
        CASE WHEN m.early THEN m.middle ELSE s.low END,
        CASE WHEN m.early THEN s.high ELSE m.middle - 1 END
    FROM search AS s
    CROSS JOIN LATERAL (
        SELECT
            h.middle,
            coalesce((
                SELECT e.recorded_at < $3 FROM {log} AS e
                WHERE e.position > s.low AND e.position <= h.middle
                ORDER BY e.position DESC LIMIT 1
            ), true) AS early
        FROM (SELECT (s.low + s.high + 1) / 2 AS middle) AS h
    ) AS m
    WHERE s.low < s.high
)
SELECT max(low) FROM search
