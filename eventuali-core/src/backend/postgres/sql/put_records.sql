UPDATE {records} AS r SET version = n.version, commit_id = n.commit_id, due = n.due, bytes = n.bytes
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::uuid[], $6::bigint[], $7::bytea[])
    AS n (tenant, space, key, version, commit_id, due, bytes)
WHERE r.tenant = n.tenant AND r.space = n.space AND r.key = n.key
