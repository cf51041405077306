SELECT
    p.value, e.stream, e.version, e.kind, e.event_id, e.timestamp, e.recorded_at, e.checksum,
    e.metadata, e.payload
FROM json_each(?1) AS p LEFT JOIN event_log AS e ON e.position = p.value
