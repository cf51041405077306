SELECT
    current_setting('server_version_num')::integer AS version,
    pg_is_in_recovery() AS standby,
    current_setting('server_encoding') AS encoding,
    set_config('statement_timeout', $1, false) AS statement_timeout,
    -- A writer that waits for a lock of somebody else must not hold up those who share its group.
    set_config('lock_timeout', '500ms', false) AS lock_timeout,
    -- A client that is gone must not hold a bound, which readers wait for: ask it after 10 s of
    -- silence, and give it up after three questions more.
    set_config('idle_in_transaction_session_timeout', $1, false) AS idle_timeout,
    set_config('tcp_keepalives_idle', '10', false) AS keepalive,
    set_config('tcp_keepalives_interval', '5', false) AS keepalive_interval,
    set_config('tcp_keepalives_count', '3', false) AS keepalive_count,
    set_config('default_transaction_isolation', 'read committed', false) AS isolation,
    -- What is asked for, if anything; else what the server says, unless that flushes nothing.
    set_config(
        'synchronous_commit',
        CASE
            WHEN $2 <> '' THEN $2
            WHEN current_setting('synchronous_commit') = 'off' THEN 'on'
            ELSE current_setting('synchronous_commit')
        END,
        false
    ) AS synchronous_commit,
    -- Every statement is led by an index, and a plan made while a table was small must do for ever.
    set_config('jit', 'off', false) AS jit,
    set_config('plan_cache_mode', 'force_generic_plan', false) AS plans,
    set_config('enable_seqscan', 'off', false) AS seqscan,
    set_config('enable_hashjoin', 'off', false) AS hashjoin,
    set_config('enable_mergejoin', 'off', false) AS mergejoin
