SELECT NOT EXISTS (
    SELECT 1
    FROM (
        SELECT * FROM (
            SELECT id, tenant, aggregate_type FROM categories WHERE (tenant, aggregate_type) < (?1, ?2)
            ORDER BY tenant DESC, aggregate_type DESC LIMIT 1
        )
        UNION ALL
        SELECT * FROM (
            SELECT id, tenant, aggregate_type FROM categories WHERE (tenant, aggregate_type) > (?1, ?2) ORDER BY tenant, aggregate_type LIMIT 1
        )
    ) AS i
    LEFT JOIN categories AS t ON t.id = i.id
    WHERE t.id IS NULL OR t.tenant IS NOT i.tenant OR t.aggregate_type IS NOT i.aggregate_type
)
