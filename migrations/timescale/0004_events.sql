-- Events and minute aggregates on TimescaleDB: hypertables with daily chunks (UTC), made when first
-- needed.
--
-- Text that is part of a key has collation "C": workers sort bytewise, and two that sort differently
-- deadlock.

CREATE EXTENSION IF NOT EXISTS timescaledb WITH SCHEMA public;

-- Functions below call it as public.…; their own search_path is closed.
DO $schema$
BEGIN
    IF (SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'timescaledb')
       <> 'public' THEN
        RAISE EXCEPTION 'the extension timescaledb must be in schema public';
    END IF;
END
$schema$;

-- What follows from a change is told by marks (0005, 0006), exactly and per tenant, so the extension's own
-- log of changes, one range per chunk and transaction, would only grow. Late rows may meet compressed
-- chunks, however many.
ALTER ROLE tidegate_worker SET timescaledb.skip_cagg_invalidation = on;
ALTER ROLE tidegate_worker SET timescaledb.max_tuples_decompressed_per_dml_transaction = 0;

CREATE TABLE data.events (
    tenant_id    text COLLATE "C" NOT NULL,
    type         text COLLATE "C" NOT NULL,
    event_id     uuid NOT NULL,
    occurred_at  timestamptz NOT NULL,
    received_at  timestamptz NOT NULL,
    processed_at timestamptz NOT NULL DEFAULT now(),
    kind         text COLLATE "C" NOT NULL DEFAULT '',
    entity       text COLLATE "C" NOT NULL DEFAULT '',
    user_id      text COLLATE "C",
    value        double precision,
    payload      jsonb,
    PRIMARY KEY (tenant_id, type, occurred_at, event_id)
);
SELECT public.create_hypertable('data.events', 'occurred_at', chunk_time_interval => interval '1 day',
                                create_default_indexes => false);

-- count: all events; value_count, sum, min, max: those with a value. sum is exact: the numeric sum of
-- each value's shortest decimal form (value::text::numeric), so that the order of adding cannot
-- matter. The average is sum / value_count, never stored.
CREATE TABLE data.metric_minute (
    tenant_id   text COLLATE "C" NOT NULL,
    type        text COLLATE "C" NOT NULL,
    bucket      timestamptz NOT NULL,
    kind        text COLLATE "C" NOT NULL DEFAULT '',
    entity      text COLLATE "C" NOT NULL DEFAULT '',
    count       bigint NOT NULL,
    value_count bigint NOT NULL DEFAULT 0,
    sum         numeric NOT NULL DEFAULT 0,
    min         double precision,
    max         double precision,
    PRIMARY KEY (tenant_id, type, bucket, kind, entity)
);
SELECT public.create_hypertable('data.metric_minute', 'bucket', chunk_time_interval => interval '1 day',
                                create_default_indexes => false);

-- A refresh reads one hour of all tenants. Minutes arrive about in the order of time and their bucket
-- never changes, so a block range index finds them and costs the worker next to nothing.
CREATE INDEX metric_minute_bucket ON data.metric_minute
    USING brin (bucket) WITH (pages_per_range = 16, autosummarize = on);

GRANT SELECT, INSERT ON data.events TO tidegate_worker;
GRANT SELECT, INSERT, UPDATE ON data.metric_minute TO tidegate_worker;

-- Makes the chunks of these days (UTC) where they are missing; returns how many days it made.
--
-- At most 64 days in one call (each costs locks), none older than the store's horizon (0010) or more than 2
-- days ahead: a clock or a record gone wrong must not fill the catalogue. Both refusals are errors
-- of classes that the worker answers by singling out the row. Call it in a transaction of its own: makers
-- wait for each other.
CREATE FUNCTION data.ensure_days(days date[]) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    today date := (now() AT TIME ZONE 'UTC')::date;
    day   date;
    made  integer := 0;
BEGIN
    IF cardinality(days) > 64 THEN
        RAISE EXCEPTION 'ensure_days takes at most 64 days, not %', cardinality(days)
            USING ERRCODE = 'program_limit_exceeded';
    END IF;
    FOR day IN SELECT DISTINCT d FROM unnest(days) AS d ORDER BY d NULLS FIRST LOOP
        IF day IS NULL OR day < today - data.horizon_days() OR day > today + 2 THEN
            RAISE EXCEPTION 'day % is outside the store''s horizon', coalesce(day::text, 'NULL')
                USING ERRCODE = 'datetime_field_overflow';
        END IF;
        CONTINUE WHEN data.has_day('data.metric_minute', day);
        -- From here on one at a time; the one that waited looks again.
        PERFORM pg_advisory_xact_lock(hashtextextended('tidegate.ensure_days', 0));
        IF data.make_day('data.events', 'occurred_at', day) THEN
            made := made + 1;
        END IF;
        PERFORM data.make_day('data.metric_minute', 'bucket', day);
    END LOOP;
    RETURN made;
END
$$;

CREATE FUNCTION data.day_start(day date) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT day::timestamp AT TIME ZONE 'UTC' $$;

CREATE FUNCTION data.has_day(hypertable regclass, day date) RETURNS boolean
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM public.show_chunks(hypertable, newer_than => data.day_start(day),
                                                  older_than => data.day_start(day + 1)))
$$;

CREATE FUNCTION data.make_day(hypertable regclass, dimension name, day date) RETURNS boolean
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    -- microseconds since 1970
    SELECT c.created
    FROM _timescaledb_functions.create_chunk(hypertable, jsonb_build_object(dimension, jsonb_build_array(
        (day - date '1970-01-01') * 86400000000, (day + 1 - date '1970-01-01') * 86400000000))) c
$$;

REVOKE ALL ON FUNCTION data.ensure_days(date[]), data.day_start(date), data.has_day(regclass, date),
                       data.make_day(regclass, name, date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION data.ensure_days(date[]) TO tidegate_worker;
