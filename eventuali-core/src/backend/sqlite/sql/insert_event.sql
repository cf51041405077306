INSERT INTO event_log (
    position, stream, version, kind, event_id, timestamp, recorded_at, checksum, metadata, payload
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
