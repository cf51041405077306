-- Of each category, by the table.
SELECT category, count(*), max(id) FROM streams NOT INDEXED WHERE id > ?1 GROUP BY category
