-- What the store asks is planned in one way for ever; what users ask, as they are used to.
SET LOCAL jit TO DEFAULT;
SET LOCAL plan_cache_mode TO DEFAULT;
SET LOCAL enable_seqscan TO DEFAULT;
SET LOCAL enable_hashjoin TO DEFAULT;
SET LOCAL enable_mergejoin TO DEFAULT;
