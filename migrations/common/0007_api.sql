-- What one tenant may see: security-barrier views whose tenant comes from the connection.
--
-- The query service sets its tenant with SET LOCAL tidegate.tenant in the transaction; that counts for its
-- own role only. Any other SQL login reads as the tenant that control.sql_logins gives it, whatever it
-- sets. No tenant: no rows. The predicate stands as a sub-select so that it is computed once and
-- reaches the indexes.

CREATE FUNCTION api.tenant() RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        -- '' is what a pooled connection reads after its first SET LOCAL
        WHEN session_user = 'tidegate_query' THEN nullif(current_setting('tidegate.tenant', true), '')
        ELSE (SELECT l.tenant_id FROM control.sql_logins l WHERE l.login = session_user::text)
    END
$$;
REVOKE ALL ON FUNCTION api.tenant() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.tenant() TO tidegate_query, tidegate_sql;

CREATE VIEW api.events WITH (security_barrier) AS
SELECT e.tenant_id, e.type, e.event_id, e.occurred_at, e.received_at, e.processed_at, e.kind,
       e.entity, e.user_id, e.value, e.payload
FROM data.events e
WHERE e.tenant_id = (SELECT api.tenant());

CREATE VIEW api.metric_minute WITH (security_barrier) AS
SELECT m.tenant_id, m.type, m.bucket, m.kind, m.entity, m.count, m.value_count, m.sum, m.min, m.max
FROM data.metric_minute m
WHERE m.tenant_id = (SELECT api.tenant());

-- An hour without a mark stands in metric_hour; a marked one is the sum of its minutes. Each half is
-- a barrier of its own: the planner flattens a UNION ALL at the top of a view, barrier or not,
-- and would then hand a condition of the reader's own making rows of other tenants.
CREATE VIEW data.hours_rolled WITH (security_barrier) AS
SELECT h.tenant_id, h.type, h.bucket, h.kind, h.entity, h.count, h.value_count, h.sum, h.min, h.max
FROM data.metric_hour h
WHERE h.tenant_id = (SELECT api.tenant())
  AND NOT EXISTS (SELECT FROM data.touched_hours t
                  WHERE t.tenant_id = h.tenant_id AND t.hour = h.bucket);

CREATE VIEW data.hours_marked WITH (security_barrier) AS
SELECT t.tenant_id, m.type, t.hour AS bucket, m.kind, m.entity, m.count, m.value_count, m.sum,
       m.min, m.max
FROM (SELECT DISTINCT x.tenant_id, x.hour FROM data.touched_hours x
      WHERE x.tenant_id = (SELECT api.tenant())) t
CROSS JOIN LATERAL (
    SELECT m.type, m.kind, m.entity, sum(m.count)::bigint AS count,
           sum(m.value_count)::bigint AS value_count, sum(m.sum) AS sum, min(m.min) AS min,
           max(m.max) AS max
    FROM data.metric_minute m
    WHERE m.tenant_id = t.tenant_id
      AND m.bucket >= t.hour AND m.bucket < t.hour + interval '1 hour'
    GROUP BY m.type, m.kind, m.entity) m;

CREATE VIEW api.metric_hour WITH (security_barrier) AS
SELECT * FROM data.hours_rolled
UNION ALL
SELECT * FROM data.hours_marked;

-- A day is marked by itself or by any of its hours.
CREATE VIEW data.days_rolled WITH (security_barrier) AS
SELECT d.tenant_id, d.type, d.bucket, d.kind, d.entity, d.count, d.value_count, d.sum, d.min, d.max
FROM data.metric_day d
WHERE d.tenant_id = (SELECT api.tenant())
  AND NOT EXISTS (SELECT FROM data.touched_days t
                  WHERE t.tenant_id = d.tenant_id AND t.day = d.bucket)
  AND NOT EXISTS (SELECT FROM data.touched_hours t
                  WHERE t.tenant_id = d.tenant_id
                    AND t.hour >= d.bucket AND t.hour < d.bucket + interval '24 hours');

CREATE VIEW data.days_marked WITH (security_barrier) AS
SELECT t.tenant_id, h.type, t.day AS bucket, h.kind, h.entity, h.count, h.value_count, h.sum,
       h.min, h.max
FROM (SELECT x.tenant_id, x.day FROM data.touched_days x
      WHERE x.tenant_id = (SELECT api.tenant())
      UNION
      SELECT x.tenant_id, date_bin('24 hours', x.hour, '2000-01-01 00:00:00+00')
      FROM data.touched_hours x
      WHERE x.tenant_id = (SELECT api.tenant())) t
CROSS JOIN LATERAL (
    SELECT h.type, h.kind, h.entity, sum(h.count)::bigint AS count,
           sum(h.value_count)::bigint AS value_count, sum(h.sum) AS sum, min(h.min) AS min,
           max(h.max) AS max
    FROM api.metric_hour h
    WHERE h.tenant_id = t.tenant_id
      AND h.bucket >= t.day AND h.bucket < t.day + interval '24 hours'
    GROUP BY h.type, h.kind, h.entity) h;

CREATE VIEW api.metric_day WITH (security_barrier) AS
SELECT * FROM data.days_rolled
UNION ALL
SELECT * FROM data.days_marked;

CREATE VIEW api.stream_state WITH (security_barrier) AS
SELECT s.tenant_id, s.type, s.entity, s.name, s.value, s.updated_at
FROM data.stream_state s
WHERE s.tenant_id = (SELECT api.tenant());

GRANT SELECT ON api.events, api.metric_minute, api.metric_hour, api.metric_day, api.stream_state
    TO tidegate_query, tidegate_sql;
