-- Only those that may stand on the page are looked up: the best, and those that fit as well as the last of them.
WITH fitting AS MATERIALIZED (
    SELECT rowid AS id, rank FROM record_words WHERE record_words MATCH ?3
),
last AS (SELECT max(b.rank) AS rank FROM (SELECT rank FROM fitting ORDER BY rank LIMIT ?4) AS b)
SELECT r.key, r.version, r.commit_id, r.due, CASE WHEN ?5 THEN r.bytes ELSE x'' END, NULL
FROM fitting AS f
CROSS JOIN records AS r ON r.id = f.id
WHERE f.rank <= (SELECT l.rank FROM last AS l) AND r.tenant = ?1 AND r.space = ?2
ORDER BY f.rank, r.key LIMIT ?4
