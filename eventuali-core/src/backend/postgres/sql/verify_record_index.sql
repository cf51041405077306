-- Records that the index names, how often, and whether they are there.
SELECT
    i.tenant, i.space, i.key, count(*), min(i.name),
    EXISTS (
        SELECT FROM {records} AS r
        WHERE r.tenant = i.tenant AND r.space = i.space AND r.key = i.key AND r.bytes IS NOT NULL
    )
FROM {record_index} AS i
WHERE (i.tenant, i.space, i.key) > ($1, $2, $3)
GROUP BY i.tenant, i.space, i.key
ORDER BY i.tenant, i.space, i.key LIMIT $4
