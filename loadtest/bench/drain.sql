-- A copy of data.events, empty, with the same columns, key and partitions, for raw_insert.
DROP SCHEMA IF EXISTS bench CASCADE;
CREATE SCHEMA bench;
CREATE TABLE bench.events (LIKE data.events INCLUDING ALL) PARTITION BY RANGE (occurred_at);
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN
        SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bound
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'data.events'::regclass
    LOOP
        EXECUTE format('CREATE TABLE bench.%I PARTITION OF bench.events %s', part.name, part.bound);
    END LOOP;
END
$$;
