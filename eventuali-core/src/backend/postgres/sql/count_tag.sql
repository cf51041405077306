SELECT count(*) FROM {tags} WHERE tenant = $1 AND tag = $2 AND position > $3 AND position <= $4
