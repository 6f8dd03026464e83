-- What the worker's maintenance calls on either engine: which one it is, the horizon, compression (plain
-- PostgreSQL has none).

CREATE FUNCTION data.engine() RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT 'plain' $$;

-- As in 0004, but the oldest day is the horizon's.
CREATE OR REPLACE FUNCTION data.ensure_days(days date[]) RETURNS integer
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

-- Compresses the oldest chunk that ended so long ago, if any; returns how many (none here).
CREATE FUNCTION data.compress_next(age interval) RETURNS integer
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$ SELECT 0 $$;

-- Removes the oldest day beyond the horizon, if any, from both tables; returns how many days. It waits
-- for nobody for long: others would queue up behind it. Then the next round tries again.
CREATE FUNCTION data.drop_next() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms'
AS $$
DECLARE
    day date;
BEGIN
    SELECT min(to_date(right(c.relname, 8), 'YYYYMMDD')) INTO day
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent IN ('data.events'::regclass, 'data.metric_minute'::regclass);
    IF day IS NULL OR (day < data.first_kept_day()) IS NOT TRUE OR data.is_day_marked(day) THEN
        RETURN 0;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('tidegate.ensure_days', 0));
    EXECUTE format('DROP TABLE IF EXISTS data.%I, data.%I', 'events_' || to_char(day, 'YYYYMMDD'),
                   'metric_minute_' || to_char(day, 'YYYYMMDD'));
    RETURN 1;
EXCEPTION
    WHEN lock_not_available THEN
        RETURN 0;
END
$$;

REVOKE ALL ON FUNCTION data.engine(), data.compress_next(interval), data.drop_next() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION data.engine(), data.compress_next(interval), data.drop_next()
    TO tidegate_worker;
