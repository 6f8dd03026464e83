-- Hour and day aggregates on TimescaleDB: continuous aggregates, hours on minutes, days on hours.
--
-- The worker's maintenance refreshes them, one marked hour or day at a time and with force: what is stale
-- is known from the marks, per tenant and exactly on commit, so neither the extension's log of changes
-- nor its real-time union is of use. The api views (0007) read a marked hour from its minutes.
--
-- One refresh is four steps: due_…, take_marks, CALL refresh_continuous_aggregate, which must stand outside
-- any transaction, and marks_done. A mark that is set meanwhile is another row and stays. Whatever ends
-- in between leaves the marks, and so only costs time.

-- Only its owner may refresh a continuous aggregate, so the worker's role makes these two; the migrating
-- role is a member of it for this moment.
GRANT tidegate_worker TO CURRENT_USER;
GRANT CREATE ON SCHEMA data TO tidegate_worker;
SET LOCAL ROLE tidegate_worker;

CREATE MATERIALIZED VIEW data.metric_hour
WITH (timescaledb.continuous, timescaledb.materialized_only = true,
      timescaledb.create_group_indexes = false, timescaledb.chunk_interval = '30 days') AS
SELECT m.tenant_id, m.type, public.time_bucket('1 hour', m.bucket) AS bucket, m.kind, m.entity,
       sum(m.count)::bigint AS count, sum(m.value_count)::bigint AS value_count, sum(m.sum) AS sum,
       min(m.min) AS min, max(m.max) AS max
FROM data.metric_minute m
GROUP BY 1, 2, 3, 4, 5
WITH NO DATA;

CREATE MATERIALIZED VIEW data.metric_day
WITH (timescaledb.continuous, timescaledb.materialized_only = true,
      timescaledb.create_group_indexes = false, timescaledb.chunk_interval = '360 days') AS
SELECT h.tenant_id, h.type, public.time_bucket('1 day', h.bucket) AS bucket, h.kind, h.entity,
       sum(h.count)::bigint AS count, sum(h.value_count)::bigint AS value_count, sum(h.sum) AS sum,
       min(h.min) AS min, max(h.max) AS max
FROM data.metric_hour h
GROUP BY 1, 2, 3, 4, 5
WITH NO DATA;

CREATE INDEX metric_hour_key ON data.metric_hour (tenant_id, type, bucket, kind, entity);
CREATE INDEX metric_day_key ON data.metric_day (tenant_id, type, bucket, kind, entity);

GRANT SELECT ON data.metric_hour, data.metric_day TO SESSION_USER;
RESET ROLE;
REVOKE CREATE ON SCHEMA data FROM tidegate_worker;
REVOKE tidegate_worker FROM CURRENT_USER;

-- 0: as a batch set it. Otherwise the number of the refresh that covers the mark.
ALTER TABLE data.touched_hours ADD COLUMN taken bigint NOT NULL DEFAULT 0;
ALTER TABLE data.touched_days ADD COLUMN taken bigint NOT NULL DEFAULT 0;
CREATE SEQUENCE data.refresh_numbers;

-- When a bucket was last refreshed and how long it took.
CREATE TABLE data.refreshes (
    level        text NOT NULL CHECK (level IN ('hour', 'day')),
    bucket       timestamptz NOT NULL,
    seconds      double precision NOT NULL,
    refreshed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (level, bucket)
);

GRANT UPDATE ON data.touched_hours, data.touched_days TO tidegate_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON data.refreshes TO tidegate_worker;
GRANT USAGE ON SEQUENCE data.refresh_numbers TO tidegate_worker;

-- A bucket rests for this many times what its last refresh took: a stream of late rows must not keep the
-- server busy with refreshing the same full hour.
CREATE FUNCTION data.rested(level text, bucket timestamptz) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce((SELECT clock_timestamp() >= r.refreshed_at + r.seconds * interval '60 seconds'
                     FROM data.refreshes r WHERE r.level = rested.level AND r.bucket = rested.bucket),
                    true)
$$;

-- Closed hours to refresh now, the quick ones first.
CREATE FUNCTION data.due_hours(max_hours integer) RETURNS SETOF timestamptz
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT m.hour
    FROM (SELECT DISTINCT t.hour FROM data.touched_hours t
          WHERE t.hour <= now() - interval '1 hour') m
    LEFT JOIN data.refreshes r ON r.level = 'hour' AND r.bucket = m.hour
    WHERE data.rested('hour', m.hour)
    ORDER BY coalesce(r.seconds, 0), m.hour LIMIT max_hours
$$;

-- Closed days to refresh now. A tenant's day waits until none of its hours is touched.
CREATE FUNCTION data.due_days(max_days integer) RETURNS SETOF timestamptz
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT m.day
    FROM (SELECT DISTINCT t.day FROM data.touched_days t
          WHERE t.day <= now() - interval '24 hours'
            AND NOT EXISTS (SELECT FROM data.touched_hours h
                            WHERE h.tenant_id = t.tenant_id
                              AND h.hour >= t.day AND h.hour < t.day + interval '24 hours')) m
    LEFT JOIN data.refreshes r ON r.level = 'day' AND r.bucket = m.day
    WHERE data.rested('day', m.day)
    ORDER BY coalesce(r.seconds, 0), m.day LIMIT max_days
$$;

-- Gives all marks of a bucket the number returned: whatever they stand for is committed, so a refresh that
-- starts after this one's COMMIT covers it.
CREATE FUNCTION data.take_marks(level text, bucket timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    number bigint := nextval('data.refresh_numbers');
BEGIN
    IF level = 'hour' THEN
        UPDATE data.touched_hours t SET taken = number WHERE t.hour = bucket;
    ELSE
        UPDATE data.touched_days t SET taken = number WHERE t.day = bucket;
    END IF;
    RETURN number;
END
$$;

-- The refresh of that number has been committed. The days of refreshed hours are marked in their turn.
CREATE FUNCTION data.marks_done(level text, bucket timestamptz, number bigint,
                                seconds double precision) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF level = 'hour' THEN
        WITH gone AS (DELETE FROM data.touched_hours t WHERE t.hour = bucket AND t.taken = number
                      RETURNING t.tenant_id)
        INSERT INTO data.touched_days (tenant_id, day)
        SELECT DISTINCT g.tenant_id, date_bin('24 hours', bucket, '2000-01-01 00:00:00+00') FROM gone g;
    ELSE
        DELETE FROM data.touched_days t WHERE t.day = bucket AND t.taken = number;
    END IF;
    INSERT INTO data.refreshes AS r (level, bucket, seconds) VALUES (level, bucket, seconds)
    ON CONFLICT ON CONSTRAINT refreshes_pkey
    DO UPDATE SET seconds = excluded.seconds, refreshed_at = excluded.refreshed_at;
END
$$;

-- Folds the untaken marks of each tenant and bucket into one; returns how many are gone.
CREATE FUNCTION data.fold_marks() RETURNS bigint
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    WITH hours AS (
        DELETE FROM data.touched_hours t
        USING (SELECT tenant_id, hour, max(id) AS keep FROM data.touched_hours WHERE taken = 0
               GROUP BY tenant_id, hour HAVING count(*) > 1) d
        WHERE t.tenant_id = d.tenant_id AND t.hour = d.hour AND t.taken = 0 AND t.id < d.keep
        RETURNING 1),
    days AS (
        DELETE FROM data.touched_days t
        USING (SELECT tenant_id, day, max(id) AS keep FROM data.touched_days WHERE taken = 0
               GROUP BY tenant_id, day HAVING count(*) > 1) d
        WHERE t.tenant_id = d.tenant_id AND t.day = d.day AND t.taken = 0 AND t.id < d.keep
        RETURNING 1)
    SELECT (SELECT count(*) FROM hours) + (SELECT count(*) FROM days)
$$;

REVOKE ALL ON FUNCTION data.rested(text, timestamptz), data.due_hours(integer),
                       data.due_days(integer), data.take_marks(text, timestamptz),
                       data.marks_done(text, timestamptz, bigint, double precision),
                       data.fold_marks() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION data.rested(text, timestamptz), data.due_hours(integer),
                          data.due_days(integer), data.take_marks(text, timestamptz),
                          data.marks_done(text, timestamptz, bigint, double precision),
                          data.fold_marks() TO tidegate_worker;
