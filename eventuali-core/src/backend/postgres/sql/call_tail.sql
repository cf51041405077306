SELECT position, stream, version, kind, event_id, timestamp, recorded_at, checksum, metadata, payload, horizon
FROM {tail}($1, $2, $3, $4)
