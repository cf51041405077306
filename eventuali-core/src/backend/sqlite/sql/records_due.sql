SELECT key, version, commit_id, due, CASE WHEN ?7 THEN bytes ELSE x'' END, due FROM records
WHERE tenant = ?1 AND space = ?2 AND due <= ?3 AND (due, key) > /* < */ (?4, ?5) ORDER BY due /* DESC */, key /* DESC */ LIMIT ?6
