SELECT key, version, commit_id, due, CASE WHEN ?4 THEN bytes ELSE x'' END, NULL FROM records
WHERE tenant = ?1 AND space = ?2 AND key = ?3 AND bytes IS NOT NULL
