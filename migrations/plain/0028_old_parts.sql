-- What retention (0030) looks through: the partitions that end by a moment, and hours and days as they are.
CREATE FUNCTION data.old_parts(upto timestamptz)
    RETURNS TABLE (relation text, part text, packed text, day timestamptz)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    -- Materialized: no other relation's name may be read as a day.
    WITH partitions AS MATERIALIZED (
        SELECT c.relname::text AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent IN ('data.events'::regclass, 'data.metric_minute'::regclass)
    ), days AS MATERIALIZED (
        SELECT p.name, to_date(right(p.name, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC' AS day FROM partitions p
    )
    SELECT left(d.name, -9), 'data.' || d.name, NULL::text, d.day FROM days d WHERE d.day < upto
    UNION ALL
    VALUES ('metric_hour', 'data.metric_hour', NULL, NULL::timestamptz),
           ('metric_day', 'data.metric_day', NULL, NULL)
$$;

REVOKE ALL ON FUNCTION data.old_parts(timestamptz) FROM PUBLIC;
