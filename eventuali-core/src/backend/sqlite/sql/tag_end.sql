SELECT position FROM tag_ends WHERE tenant = ?1 AND tag = ?2
