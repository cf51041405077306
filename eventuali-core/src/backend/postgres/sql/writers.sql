SELECT
    h.position,
    -- This statement may have begun before the last event could be seen.
    greatest(h.position, (SELECT max(e.position) FROM {log} AS e)),
    w.writers,
    w.open_for
FROM (SELECT {horizon}() AS position) AS h
CROSS JOIN (
    SELECT
        count(DISTINCT l.pid) AS writers,
        (extract(epoch FROM clock_timestamp() - min(a.xact_start)) * 1000000)::bigint AS open_for
    FROM pg_locks AS l
    LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
    WHERE
        l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted
        AND l.classid = '{position}'::regclass
        AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
) AS w
