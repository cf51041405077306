SELECT
    (SELECT count(*) FROM categories NOT INDEXED WHERE tenant = ?1)
    = (SELECT count(*) FROM categories INDEXED BY sqlite_autoindex_categories_1 WHERE tenant = ?1)
