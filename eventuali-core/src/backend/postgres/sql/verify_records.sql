SELECT tenant, space, key, version, bytes IS NOT NULL FROM {records}
WHERE (tenant, space, key) > ($1, $2, $3)
ORDER BY tenant, space, key LIMIT $4
