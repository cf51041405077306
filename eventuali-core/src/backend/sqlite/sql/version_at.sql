SELECT coalesce(
    (
        SELECT version + ?2 - position FROM event_log
        WHERE position BETWEEN ?2 AND ?2 + 1 AND stream = ?1 ORDER BY position LIMIT 1
    ),
    (
        SELECT first_version + count - 1 FROM stream_runs
        WHERE
            stream = ?1 AND position <= ?2
            AND first_version = (
                SELECT max(first_version) FROM stream_runs WHERE stream = ?1 AND first_version < 9223372036854775807
            )
    ),
    (
        WITH RECURSIVE search (low, high) AS (
            SELECT 0, max(first_version) - 1 FROM stream_runs WHERE stream = ?1 AND first_version < 9223372036854775807
            UNION ALL
            SELECT
                CASE WHEN r.position <= ?2 THEN (low + high + 1) / 2 ELSE low END,
                CASE WHEN r.position <= ?2 THEN high ELSE r.first_version - 1 END
            FROM search
            CROSS JOIN stream_runs AS r ON r.stream = ?1 AND r.first_version = (
                SELECT max(first_version) FROM stream_runs
                WHERE stream = ?1 AND first_version <= (low + high + 1) / 2
            )
            WHERE low < high
        )
        SELECT max(low) FROM search
    )
)
