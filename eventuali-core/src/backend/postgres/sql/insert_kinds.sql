INSERT INTO {kinds} (event_type, event_version, codec)
SELECT n.event_type, n.event_version, n.codec
FROM unnest($1::text[], $2::bigint[], $3::text[]) AS n (event_type, event_version, codec)
ORDER BY 1, 2, 3
ON CONFLICT (event_type, event_version, codec) DO NOTHING
