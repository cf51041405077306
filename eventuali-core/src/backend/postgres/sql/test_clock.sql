DO $$ BEGIN
    -- Two at once would make it twice.
    PERFORM pg_advisory_xact_lock(6293595036912670551);
    IF to_regprocedure('eventuali_test_clock.clock_timestamp()') IS NULL THEN
        CREATE SCHEMA IF NOT EXISTS eventuali_test_clock;
        CREATE FUNCTION eventuali_test_clock.clock_timestamp() RETURNS TIMESTAMPTZ LANGUAGE sql VOLATILE
        AS $body$
            SELECT coalesce(
                TIMESTAMPTZ 'epoch'
                    + nullif(current_setting('eventuali.test_clock', true), '')::bigint
                    * INTERVAL '1 microsecond',
                pg_catalog.clock_timestamp()
            )
        $body$;
    END IF;
    PERFORM set_config('eventuali.search_path', current_setting('search_path'), false);
    PERFORM set_config(
        'search_path', 'eventuali_test_clock, pg_catalog, ' || current_setting('search_path'), false
    );
END $$
