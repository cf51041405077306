SELECT pg_advisory_lock_shared('{log}'::regclass::oid::bigint::bit(32)::integer, 2)
