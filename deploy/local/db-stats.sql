-- What `make db-stats` prints. Rows of partitioned tables are counted exactly, so on a large store
-- this takes as long as a scan of it. The caller has put the topics' ends into topic_ends.
\pset footer off
\set QUIET on

\echo
\echo Sizes
with tables as (
  select c.oid, n.nspname || '.' || c.relname as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where n.nspname in ('data', 'control') and c.relkind in ('r', 'p') and not c.relispartition
)
select name as "table",
       (xpath('/row/n/text()', query_to_xml('select count(*) as n from ' || name, false, true, '')))[1]::text::bigint as rows,
       (select count(*) from pg_inherits i where i.inhparent = t.oid) as partitions,
       pg_size_pretty(coalesce((select sum(pg_total_relation_size(p.relid)) from pg_partition_tree(t.oid) p),
                               pg_total_relation_size(t.oid))) as size
  from tables t
 order by 2 desc nulls last, 1;

\echo Events by tenant and type
select tenant_id, type, count(*) as events, min(occurred_at) as oldest, max(occurred_at) as newest,
       date_trunc('milliseconds', max(processed_at - received_at)) as slowest
  from data.events group by 1, 2 order by 1, 2 limit 100;

\echo Minute aggregates by tenant and type (counts must equal the events)
select tenant_id, type, count(*) as rows, count(distinct (kind, entity)) as series, sum(count) as events,
       sum(sum) as sum, max(bucket) as newest
  from data.metric_minute group by 1, 2 order by 1, 2 limit 100;

\echo Consumed (lag: records of the topic that are not stored yet)
select o.topic, o.partition, o.next_offset, e.next - coalesce(o.next_offset, e.first) as lag, o.epoch, o.owner,
       date_trunc('seconds', now() - o.updated_at) as idle
  from data.consumer_offsets o left join topic_ends e using (topic, partition) order by 1, 2;

\echo Dead letters
select topic, error_code, count(*), max(created_at) as newest
  from data.dead_letters group by 1, 2 order by 3 desc limit 20;

\echo Waiting for maintenance
select (select count(*) from data.touched_hours) as touched_hours, (select count(*) from data.touched_days) as touched_days;
