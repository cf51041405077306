SELECT position, position FROM {log}
WHERE
    strpos(metadata, '"user_id":') > 0 AND {user}(metadata) COLLATE "C" = $1
    AND position > $2 AND position <= $3
ORDER BY position /* DESC */ LIMIT $4
