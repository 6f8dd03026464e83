-- What `make db-stats` prints: sizes, exact row counts, consumer positions.
\pset footer off
\echo Sizes
select n.nspname || '.' || c.relname as "table", pg_size_pretty(pg_total_relation_size(c.oid)) as size
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = 'data' and c.relkind in ('r', 'p', 'm') and not c.relispartition
 order by pg_total_relation_size(c.oid) desc, 1;
