-- Locked so that nobody changes them before this transaction ends.
SELECT n.place, r.version, r.commit_id, r.bytes IS NOT NULL AS present
FROM unnest($1, $2, $3) WITH ORDINALITY AS n (tenant, space, key, place)
INNER JOIN {records} AS r ON r.tenant = n.tenant AND r.space = n.space AND r.key = n.key
ORDER BY n.place
FOR SHARE OF r
