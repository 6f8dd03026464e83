-- How long raw rows and minute aggregates are kept. Hours and days are kept for good.
--
-- ensure_days takes no day older than `days`; drop_days removes what is a full day older than that. The
-- most, 430, is the 400 days that ingestion accepts by default and the time that an accepted event may wait
-- in Kafka. When the number gets smaller, nothing is removed for 10 minutes: workers know for up to one
-- minute that a day may be written.

CREATE TABLE data.horizon (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    days       integer NOT NULL CHECK (days BETWEEN 1 AND 430),
    changed_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO data.horizon (days) VALUES (430);

CREATE FUNCTION data.note_horizon_change() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    new.changed_at := now();
    RETURN new;
END
$$;
CREATE TRIGGER note_change BEFORE UPDATE OF days ON data.horizon
    FOR EACH ROW EXECUTE FUNCTION data.note_horizon_change();

CREATE FUNCTION data.horizon_days() RETURNS integer
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT h.days FROM data.horizon h $$;

-- Days before this one may be removed; NULL while the number is new.
CREATE FUNCTION data.first_kept_day() RETURNS date
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT (now() AT TIME ZONE 'UTC')::date - h.days - 1
    FROM data.horizon h WHERE h.changed_at < now() - interval '10 minutes' OR h.days = 430
$$;

-- Whether hours of that day wait to be rolled up or binned: until then its minutes and rows are needed.
CREATE FUNCTION data.is_day_marked(day date) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM data.touched_hours t
                   WHERE t.hour >= day::timestamp AT TIME ZONE 'UTC'
                     AND t.hour < (day + 1)::timestamp AT TIME ZONE 'UTC')
        OR EXISTS (SELECT FROM data.unbinned_hours u
                   WHERE u.hour >= day::timestamp AT TIME ZONE 'UTC'
                     AND u.hour < (day + 1)::timestamp AT TIME ZONE 'UTC')
$$;

GRANT SELECT ON data.horizon TO tidegate_worker;
REVOKE ALL ON FUNCTION data.note_horizon_change(), data.horizon_days(), data.first_kept_day(),
                       data.is_day_marked(date) FROM PUBLIC;
