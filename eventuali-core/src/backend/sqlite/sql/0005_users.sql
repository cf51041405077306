-- The index of tags has the users of events, too, each under $user: and the first 200 characters of its id; no tag begins
-- with $. A NUL in an id counts as the next character.
DROP TRIGGER tag_begins;

CREATE TRIGGER tag_begins AFTER INSERT ON tag_ends
BEGIN INSERT INTO tags (tenant, tag, position) VALUES (new.tenant, new.tag /* or $user:<id> */, new.position); END;

INSERT INTO tag_ends (tenant, tag, position)
SELECT
    c.tenant,
    '$user:' || substr(json_extract(replace(e.metadata, '\u0000', '\u0001'), '$.user_id'), 1, 200),
    e.position
FROM event_log AS e
INNER JOIN streams AS s ON s.id = e.stream
INNER JOIN categories AS c ON c.id = s.category
WHERE instr(e.metadata, '"user_id":') > 0 AND json_extract(replace(e.metadata, '\u0000', '\u0001'), '$.user_id') IS NOT NULL
ORDER BY e.position
ON CONFLICT DO UPDATE SET position = excluded.position WHERE position < excluded.position;
