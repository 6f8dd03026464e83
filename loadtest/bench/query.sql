-- :rows events of the demo tenant, evenly over the last 24 hours, and the minutes that follow from them, of
-- one type (:'type'), number :offset of two. Orders have 60 series, sessions 30.
SET synchronous_commit = off;
INSERT INTO data.events (tenant_id, type, event_id, occurred_at, received_at, processed_at, kind, entity,
                         user_id, value, payload)
SELECT 'demo', :'type', gen_random_uuid(), t, t, now(), kind, 'channel-' || entity, 'user-' || n % 100000,
       CASE WHEN :'type' = 'order' THEN (n % 100000) / 100.0 END, payload
FROM (SELECT n, date_trunc('minute', now()) - n * (interval '24 hours' / :rows) AS t,
             (:'kinds'::text[])[1 + (hashint8(n) & 2147483647) % cardinality(:'kinds'::text[])] AS kind,
             (hashint8(-n) & 2147483647) % 10 AS entity,
             '{"source": "bench"}'::jsonb AS payload
      FROM generate_series(:rows, 1, -1) AS n) AS made;

INSERT INTO data.metric_minute (tenant_id, type, bucket, kind, entity, count, value_count, sum, min, max)
SELECT tenant_id, type, date_trunc('minute', occurred_at), kind, entity, count(*), count(value),
       coalesce(sum(value::text::numeric), 0), min(value), max(value)
FROM data.events WHERE tenant_id = 'demo' AND type = :'type'
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5;
