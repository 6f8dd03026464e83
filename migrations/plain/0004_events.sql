-- Events and minute aggregates on plain PostgreSQL: daily partitions (UTC), made when first needed.
--
-- Text that is part of a key has collation "C": workers sort bytewise, and two that sort differently
-- deadlock.

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
    PRIMARY KEY (tenant_id, type, event_id, occurred_at)
) PARTITION BY RANGE (occurred_at);

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
) PARTITION BY RANGE (bucket);

GRANT SELECT, INSERT ON data.events TO tidegate_worker;
GRANT SELECT, INSERT, UPDATE ON data.metric_minute TO tidegate_worker;

-- Makes the partitions of these days (UTC) where they are missing; returns how many days it made.
--
-- At most 64 days in one call (each costs locks), none more than 430 days back or 2 ahead: a clock
-- or a record gone wrong must not fill the catalogue. 430 is the horizon of 400 days that ingestion
-- holds to, and the time that an accepted event may wait in Kafka. Both refusals are errors of classes
-- that the worker answers by singling out the row. A partition is made beside the table and then attached, which
-- lets inserts and reads of the others go on. Call it in a transaction of its own: makers wait for each
-- other.
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
        IF day IS NULL OR day < today - 430 OR day > today + 2 THEN
            RAISE EXCEPTION 'day % is outside the store''s horizon', coalesce(day::text, 'NULL')
                USING ERRCODE = 'datetime_field_overflow';
        END IF;
        CONTINUE WHEN to_regclass(format('data.metric_minute_%s', to_char(day, 'YYYYMMDD')))
                      IS NOT NULL;
        -- From here on one at a time; the one that waited looks again.
        PERFORM pg_advisory_xact_lock(hashtextextended('tidegate.ensure_days', 0));
        IF data.make_day('events', day) THEN
            made := made + 1;
        END IF;
        PERFORM data.make_day('metric_minute', day);
    END LOOP;
    RETURN made;
END
$$;

CREATE FUNCTION data.make_day(parent text, day date) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part text := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
BEGIN
    IF to_regclass('data.' || part) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE data.%I (LIKE data.%I INCLUDING ALL)', part, parent);
    EXECUTE format('ALTER TABLE data.%I ATTACH PARTITION data.%I FOR VALUES FROM (%L) TO (%L)',
                   parent, part, day || ' 00:00:00+00', (day + 1) || ' 00:00:00+00');
    RETURN true;
END
$$;

REVOKE ALL ON FUNCTION data.ensure_days(date[]), data.make_day(text, date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION data.ensure_days(date[]) TO tidegate_worker;
