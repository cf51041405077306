-- Where each stream ends, and in the row of stream 0 the log. event_log and stream_runs say it too, but
-- a damaged page of theirs can hide its last entries, and what is left looks whole.

CREATE TABLE ends (
    stream INTEGER PRIMARY KEY,
    version INTEGER NOT NULL
);

INSERT INTO ends (stream, version)
SELECT stream, max(first_version + count - 1) FROM stream_runs GROUP BY stream;

INSERT INTO ends (stream, version) SELECT 0, coalesce(max(position), 0) FROM event_log;
