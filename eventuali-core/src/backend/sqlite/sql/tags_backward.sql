SELECT position, prior FROM tags
WHERE tenant = ?1 AND tag = ?2 AND position <= ?3 ORDER BY position DESC LIMIT ?4
