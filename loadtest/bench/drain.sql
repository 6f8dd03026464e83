-- bench.events: a copy of data.events, empty, with the same columns, key, and partitions or chunks, for
-- raw_insert. Called with data.events filled.
DROP SCHEMA IF EXISTS bench CASCADE;
CREATE SCHEMA bench;
DO $$
DECLARE
    part record;
BEGIN
    IF data.engine() = 'timescale' THEN
        CREATE TABLE bench.events (LIKE data.events INCLUDING ALL);
        PERFORM public.create_hypertable('bench.events', 'occurred_at', create_default_indexes => false,
                                         chunk_time_interval => interval '1 day');
        -- One row of each day makes its chunk.
        INSERT INTO bench.events
        SELECT DISTINCT ON (date_trunc('day', occurred_at)) * FROM data.events;
        DELETE FROM bench.events;
        RETURN;
    END IF;
    CREATE TABLE bench.events (LIKE data.events INCLUDING ALL) PARTITION BY RANGE (occurred_at);
    FOR part IN
        SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bound
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'data.events'::regclass
    LOOP
        EXECUTE format('CREATE TABLE bench.%I PARTITION OF bench.events %s', part.name, part.bound);
    END LOOP;
END
$$;
