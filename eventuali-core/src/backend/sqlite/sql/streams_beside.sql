SELECT NOT EXISTS (
    SELECT 1
    FROM (
        SELECT * FROM (
            SELECT id, category, aggregate_id FROM streams WHERE (category, aggregate_id) < (?1, ?2)
            ORDER BY category DESC, aggregate_id DESC LIMIT 1
        )
        UNION ALL
        SELECT * FROM (
            SELECT id, category, aggregate_id FROM streams WHERE (category, aggregate_id) > (?1, ?2) ORDER BY category, aggregate_id LIMIT 1
        )
    ) AS i
    LEFT JOIN streams AS t ON t.id = i.id
    WHERE t.id IS NULL OR t.category IS NOT i.category OR t.aggregate_id IS NOT i.aggregate_id
)
