INSERT INTO {record_index} (tenant, space, key, name, rank, whole, fraction, words)
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::bigint[],
    $7::double precision[], $8::bytea[]
)
