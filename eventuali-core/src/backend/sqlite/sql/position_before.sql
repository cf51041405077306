WITH RECURSIVE search (low, high) AS (
    SELECT ?1, ?2
    UNION ALL
    SELECT
        CASE WHEN coalesce((
            SELECT recorded_at FROM event_log
            WHERE position > low AND position <= (low + high + 1) / 2 ORDER BY position DESC LIMIT 1
        ), ?3 - 1) < ?3 THEN (low + high + 1) / 2 ELSE low END,
        CASE WHEN coalesce((
            SELECT recorded_at FROM event_log
            WHERE position > low AND position <= (low + high + 1) / 2 ORDER BY position DESC LIMIT 1
        ), ?3 - 1) < ?3 THEN high ELSE (low + high + 1) / 2 - 1 END
    FROM search WHERE low < high
)
SELECT max(low) FROM search
