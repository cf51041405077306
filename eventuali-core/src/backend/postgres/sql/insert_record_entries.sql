INSERT INTO {record_index} (tenant, space, key, name, rank, whole, fraction, words)
SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)
