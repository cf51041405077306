INSERT INTO categories (tenant, aggregate_type) VALUES (?1, ?2)
