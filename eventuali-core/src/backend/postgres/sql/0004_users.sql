-- Format 4. How a user id begins; a NUL, which no text here has, as the next character.
CREATE FUNCTION {user}(metadata TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT left(replace(metadata, '\u0000', '\u0001')::json ->> 'user_id', 200)
$$;

-- Events by their users: an event without one has no entry. Whoever writes with an older version fills it, too.
CREATE INDEX ON {log} ({user}(metadata) COLLATE "C", position) WHERE strpos(metadata, '"user_id":') > 0;
