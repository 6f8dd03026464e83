-- Hour and day aggregates on plain PostgreSQL, filled by the worker's maintenance.
--
-- Both functions run in a REPEATABLE READ transaction that the worker opens: the marks they delete
-- and the minutes they read are then of one moment, so a batch that commits meanwhile keeps its mark.
-- They refuse any weaker isolation. Two at once end in 40001 for one of them; the worker's lease
-- keeps that rare.

CREATE TABLE data.metric_hour (
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
-- Refresh replaces one tenant's hour over all types; the primary key cannot find that.
CREATE INDEX metric_hour_bucket ON data.metric_hour (tenant_id, bucket);

CREATE TABLE data.metric_day (LIKE data.metric_hour INCLUDING ALL);

GRANT SELECT, INSERT, DELETE ON data.metric_hour, data.metric_day TO tidegate_worker;

CREATE FUNCTION data.require_snapshot() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('transaction_isolation') NOT IN ('repeatable read', 'serializable') THEN
        RAISE EXCEPTION 'refresh needs a REPEATABLE READ transaction'
            USING ERRCODE = 'active_sql_transaction';
    END IF;
END
$$;

-- Rolls up to max_hours closed (tenant, hour)s that were touched; returns how many. Also folds the
-- marks of each hour that stays open into one.
CREATE FUNCTION data.refresh_hours(max_hours integer) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    mark record;
    done integer := 0;
BEGIN
    PERFORM data.require_snapshot();
    FOR mark IN
        SELECT DISTINCT tenant_id, hour FROM data.touched_hours
        WHERE hour <= now() - interval '1 hour'
        ORDER BY tenant_id, hour LIMIT max_hours
    LOOP
        DELETE FROM data.touched_hours t
        WHERE t.tenant_id = mark.tenant_id AND t.hour = mark.hour;
        DELETE FROM data.metric_hour h
        WHERE h.tenant_id = mark.tenant_id AND h.bucket = mark.hour;
        INSERT INTO data.metric_hour
        SELECT mark.tenant_id, m.type, mark.hour, m.kind, m.entity, sum(m.count)::bigint,
               sum(m.value_count)::bigint, sum(m.sum), min(m.min), max(m.max)
        FROM data.metric_minute m
        WHERE m.tenant_id = mark.tenant_id
          AND m.bucket >= mark.hour AND m.bucket < mark.hour + interval '1 hour'
        GROUP BY m.type, m.kind, m.entity
        ORDER BY m.type, m.kind, m.entity;
        INSERT INTO data.touched_days (tenant_id, day)
        VALUES (mark.tenant_id, date_bin('24 hours', mark.hour, '2000-01-01 00:00:00+00'));
        done := done + 1;
    END LOOP;
    DELETE FROM data.touched_hours t
    USING (SELECT tenant_id, hour, max(id) AS keep FROM data.touched_hours
           GROUP BY tenant_id, hour HAVING count(*) > 1) d
    WHERE t.tenant_id = d.tenant_id AND t.hour = d.hour AND t.id < d.keep;
    RETURN done;
END
$$;

-- The same for days, from hours. A day waits until none of its hours is touched.
CREATE FUNCTION data.refresh_days(max_days integer) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    mark record;
    done integer := 0;
BEGIN
    PERFORM data.require_snapshot();
    FOR mark IN
        SELECT DISTINCT d.tenant_id, d.day FROM data.touched_days d
        WHERE d.day <= now() - interval '24 hours'
          AND NOT EXISTS (SELECT FROM data.touched_hours t
                          WHERE t.tenant_id = d.tenant_id
                            AND t.hour >= d.day AND t.hour < d.day + interval '24 hours')
        ORDER BY d.tenant_id, d.day LIMIT max_days
    LOOP
        DELETE FROM data.touched_days t
        WHERE t.tenant_id = mark.tenant_id AND t.day = mark.day;
        DELETE FROM data.metric_day h
        WHERE h.tenant_id = mark.tenant_id AND h.bucket = mark.day;
        INSERT INTO data.metric_day
        SELECT mark.tenant_id, h.type, mark.day, h.kind, h.entity, sum(h.count)::bigint,
               sum(h.value_count)::bigint, sum(h.sum), min(h.min), max(h.max)
        FROM data.metric_hour h
        WHERE h.tenant_id = mark.tenant_id
          AND h.bucket >= mark.day AND h.bucket < mark.day + interval '24 hours'
        GROUP BY h.type, h.kind, h.entity
        ORDER BY h.type, h.kind, h.entity;
        done := done + 1;
    END LOOP;
    DELETE FROM data.touched_days t
    USING (SELECT tenant_id, day, max(id) AS keep FROM data.touched_days
           GROUP BY tenant_id, day HAVING count(*) > 1) d
    WHERE t.tenant_id = d.tenant_id AND t.day = d.day AND t.id < d.keep;
    RETURN done;
END
$$;

REVOKE ALL ON FUNCTION data.require_snapshot(), data.refresh_hours(integer),
                       data.refresh_days(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION data.require_snapshot(), data.refresh_hours(integer),
                          data.refresh_days(integer) TO tidegate_worker;
