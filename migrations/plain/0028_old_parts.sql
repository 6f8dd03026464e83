-- What retention (0030) looks through: the partitions that end by a moment, and hours and days as they are.
CREATE FUNCTION data.old_parts(upto timestamptz)
    RETURNS TABLE (relation text, part text, packed text, day timestamptz)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT left(c.relname, -9), 'data.' || c.relname, NULL::text, d.day
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    CROSS JOIN LATERAL (SELECT to_date(right(c.relname, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC' AS day) d
    WHERE i.inhparent IN ('data.events'::regclass, 'data.metric_minute'::regclass) AND d.day < upto
    UNION ALL
    VALUES ('metric_hour', 'data.metric_hour', NULL, NULL::timestamptz),
           ('metric_day', 'data.metric_day', NULL, NULL)
$$;

REVOKE ALL ON FUNCTION data.old_parts(timestamptz) FROM PUBLIC;
