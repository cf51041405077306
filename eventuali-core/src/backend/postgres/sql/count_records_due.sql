SELECT count(*) FROM {records} AS r
WHERE r.tenant = $1 AND r.space = $2 AND r.due <= coalesce($3, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
