SELECT position, position FROM {tags}
WHERE tenant = $1 AND tag = $2 AND position > $3 AND position <= $4
ORDER BY position /* DESC */ LIMIT $5
