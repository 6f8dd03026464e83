-- Retention: what is older than its tenant's plan allows goes, a bounded step at a time.
--
-- A tenant keeps whole days (UTC): today's and the retention_days before it. The cut is the same for events, minutes,
-- hours, days and bins, so what is left at every level is about the same events. Events go before minutes, minutes
-- before hours, hours before days: whatever is refreshed or binned meanwhile is made of what is left, and what an
-- earlier refresh has left goes after it. 0, the default, means the platform's horizon: raw rows and minutes go with
-- it (0010), hours and days stay.
--
-- The worker asks data.retention_parts() what to look through and calls data.expire() for each of them until it
-- finds nothing. A step deletes up to `most` rows (of a compressed chunk, one tenant's and type's day, whose
-- batches go without being read: 0.04 µs for each of their rows) and takes row locks only.
-- Steps may be repeated, or end anywhere, without harm.

UPDATE control.limits SET low = 0, fallback = 0,
    help = 'Days, before today, that events and aggregates are kept; 0: the platform''s horizon, hours and days for good.'
WHERE name = 'retention_days';
ALTER TABLE control.plans DROP CONSTRAINT plans_retention_days_check,
    ADD CHECK (retention_days >= 0), ALTER COLUMN retention_days SET DEFAULT 0;
-- 400 was the default while nothing obeyed it.
UPDATE control.plans SET retention_days = 0 WHERE retention_days = 400;

-- Dead letters are removed by age, oldest first.
CREATE INDEX dead_letters_created ON data.dead_letters (created_at);

-- Where each tenant's rows end, for those whose retention is shorter than the horizon.
CREATE VIEW data.retention_cuts AS
SELECT t.id AS tenant_id,
       (date_trunc('day', now() AT TIME ZONE 'UTC') - make_interval(days => r.days)) AT TIME ZONE 'UTC' AS cut
FROM control.tenants t JOIN control.plans p ON p.name = t.plan
CROSS JOIN LATERAL (SELECT coalesce((t.limits ->> 'retention_days')::integer, p.retention_days) AS days) r
WHERE r.days BETWEEN 1 AND data.horizon_days();

-- What may hold rows that are beyond their retention, in the order to look at it. `day`: of which day it is.
CREATE FUNCTION data.retention_parts(OUT relation text, OUT part text, OUT packed text, OUT day timestamptz)
    RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT w.relation, coalesce(o.part, w.part), o.packed, o.day
    FROM (VALUES (1, 'late_bins', 'data.late_bins', true), (2, 'events', NULL, true),
                 (3, 'metric_minute', NULL, true), (4, 'metric_hour', NULL, true), (5, 'metric_day', NULL, true),
                 (6, 'metric_hour_bins', 'data.metric_hour_bins', true),
                 (7, 'metric_hour_kind_bins', 'data.metric_hour_kind_bins', true),
                 (8, 'anomalies', 'data.anomalies', true), (9, 'alerts', 'data.alerts', true),
                 (10, 'dead_letters', 'data.dead_letters', false),
                 (11, 'audit_log', 'control.audit_log', false)) AS w (n, relation, part, of_tenants)
    CROSS JOIN (SELECT max(c.cut) AS newest FROM data.retention_cuts c) c
    LEFT JOIN LATERAL (SELECT * FROM data.old_parts(c.newest) p WHERE p.relation = w.relation) o
        ON w.part IS NULL AND c.newest IS NOT NULL
    WHERE (c.newest IS NOT NULL OR NOT w.of_tenants) AND coalesce(o.part, w.part) IS NOT NULL
    ORDER BY w.n, o.day
$$;

-- The statement that finds whose rows of a part are beyond their retention. Tables by tenant and type are leapt through
-- along their key, from one pair to the next.
CREATE FUNCTION data.expired_pairs(part text, moment text, day timestamptz) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('WITH RECURSIVE pair AS ('
                  ' (SELECT x.tenant_id, x.type FROM %1$s x ORDER BY x.tenant_id, x.type LIMIT 1)'
                  ' UNION ALL SELECT n.tenant_id, n.type FROM pair p CROSS JOIN LATERAL ('
                  '  SELECT x.tenant_id, x.type FROM %1$s x WHERE (x.tenant_id, x.type) > (p.tenant_id, p.type)'
                  '  ORDER BY x.tenant_id, x.type LIMIT 1) n)'
                  ' SELECT p.tenant_id, p.type, c.cut FROM pair p JOIN data.retention_cuts c USING (tenant_id)'
                  ' WHERE %2$s', part,
                  CASE WHEN day IS NOT NULL THEN format('c.cut > %L', day)
                       ELSE format('EXISTS (SELECT FROM %s x WHERE x.tenant_id = p.tenant_id AND x.type = p.type'
                                   ' AND x.%I < c.cut)', part, moment) END)
$$;

-- Deletes up to `most` rows of one part, tenant by tenant; returns how many.
CREATE FUNCTION data.expire_rows(pairs text, part text, condition text, most integer) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    pair record;
    gone bigint;
    done bigint := 0;
BEGIN
    FOR pair IN EXECUTE pairs LOOP
        EXECUTE format('DELETE FROM %1$s WHERE ctid = ANY (ARRAY('
                       'SELECT x.ctid FROM %1$s x WHERE x.tenant_id = $1 AND %2$s LIMIT $4))', part, condition)
            USING pair.tenant_id, pair.type, pair.cut, most - done;
        GET DIAGNOSTICS gone = ROW_COUNT;
        done := done + gone;
        EXIT WHEN done >= most;
    END LOOP;
    RETURN done;
END
$$;

-- The same of a compressed chunk, whole pairs at a time, until `most` rows are reached. A condition beyond tenant and type
-- would have its batches decompressed.
CREATE FUNCTION data.expire_packed(part text, packed text, day timestamptz, most integer) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    pair  record;
    gone  bigint;
    done  bigint := 0;
BEGIN
    FOR pair IN EXECUTE data.expired_pairs(packed, NULL, day) || ' UNION '
                        || format('SELECT * FROM (%s) late', data.expired_pairs('ONLY ' || part, NULL, day)) LOOP
        EXECUTE format('DELETE FROM %s WHERE tenant_id = %L AND type = %L', part, pair.tenant_id, pair.type);
        GET DIAGNOSTICS gone = ROW_COUNT;
        done := done + gone;
        EXIT WHEN done >= most;
    END LOOP;
    RETURN done;
END
$$;

-- By age, whoever's they are. A letter that has not been sent to its topic stays until it has.
CREATE FUNCTION data.expire_old(relation text, age interval, most integer) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    done bigint := 0;
BEGIN
    IF age <= interval '0' THEN
        RETURN 0;
    ELSIF relation = 'audit_log' THEN -- its numbers rise with time
        DELETE FROM control.audit_log a
        WHERE a.id = ANY (ARRAY(SELECT x.id FROM control.audit_log x ORDER BY x.id LIMIT most)) AND a.at < now() - age;
    ELSE
        DELETE FROM data.dead_letters d
        WHERE d.id = ANY (ARRAY(SELECT x.id FROM data.dead_letters x
                                WHERE x.created_at < now() - age AND x.published_at IS NOT NULL
                                ORDER BY x.created_at LIMIT most));
    END IF;
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END
$$;

-- One step on one of data.retention_parts(); how many rows it has deleted. 0: nothing is left to delete there. `age`
-- counts for dead letters and the audit log; 0: those stay.
CREATE FUNCTION data.expire(relation text, part text, packed text, day timestamptz, age interval, most integer)
    RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
    SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    moment text := CASE relation WHEN 'late_bins' THEN 'hour' WHEN 'anomalies' THEN 'detection_ts'
                                 WHEN 'alerts' THEN 'fired_at' WHEN 'dead_letters' THEN 'created_at'
                                 ELSE 'bucket' END;
    done   bigint := 0;
BEGIN
    IF NOT (part = ANY (ARRAY['control.audit_log', 'data.' || relation]) AND packed IS NULL AND day IS NULL)
       AND NOT EXISTS (SELECT FROM data.old_parts(now()) p
                       WHERE p.part = expire.part AND p.relation = expire.relation
                         AND p.packed IS NOT DISTINCT FROM expire.packed AND p.day IS NOT DISTINCT FROM expire.day) THEN
        RETURN 0; -- the horizon, or compression, was faster
    ELSIF packed IS NOT NULL THEN
        RETURN data.expire_packed(part, packed, day, most);
    ELSIF relation IN ('dead_letters', 'audit_log') THEN
        done := data.expire_old(relation, age, most);
    END IF;
    IF done = 0 AND relation IN ('anomalies', 'alerts', 'dead_letters') THEN
        done := data.expire_rows(format('SELECT c.tenant_id, NULL::text AS type, c.cut FROM data.retention_cuts c'
                                        ' WHERE EXISTS (SELECT FROM %s x WHERE x.tenant_id = c.tenant_id'
                                        ' AND x.%I < c.cut)', part, moment),
                                 part, format('x.%I < $3', moment), most);
    ELSIF done = 0 AND relation <> 'audit_log' THEN
        done := data.expire_rows(data.expired_pairs(part, moment, day), part,
                                 CASE WHEN day IS NULL THEN format('x.type = $2 AND x.%I < $3', moment)
                                      ELSE 'x.type = $2' END, most);
    END IF;
    RETURN done;
END
$$;

REVOKE ALL ON FUNCTION data.retention_parts(), data.expired_pairs(text, text, timestamptz),
    data.expire_rows(text, text, text, integer), data.expire_packed(text, text, timestamptz, integer),
    data.expire_old(text, interval, integer),
    data.expire(text, text, text, timestamptz, interval, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION data.retention_parts(),
    data.expire(text, text, text, timestamptz, interval, integer) TO tidegate_worker;
