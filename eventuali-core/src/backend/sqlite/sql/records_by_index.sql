SELECT r.key, r.version, r.commit_id, r.due, CASE WHEN ?12 THEN r.bytes ELSE x'' END, i.value
FROM record_index AS i
INNER JOIN records AS r ON r.tenant = i.tenant AND r.space = i.space AND r.key = i.key
WHERE
    i.tenant = ?1 AND i.space = ?2 AND i.name = ?3
    AND (i.rank, i.value) >= (?4, ?5) AND (i.rank, i.value) <= (?6, ?7)
    AND (i.rank, i.value, i.key) > /* < */ (?8, ?9, ?10)
ORDER BY i.rank /* DESC */, i.value /* DESC */, i.key /* DESC */ LIMIT ?11
