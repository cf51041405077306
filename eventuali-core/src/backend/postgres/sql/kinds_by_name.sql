SELECT k.id, k.event_type, k.event_version, k.codec
FROM unnest($1::text[], $2::bigint[], $3::text[]) AS n (event_type, event_version, codec)
INNER JOIN {kinds} AS k
    ON k.event_type = n.event_type AND k.event_version = n.event_version AND k.codec = n.codec
