-- What the worker's maintenance calls on either engine: which one it is, the horizon, compression.

CREATE FUNCTION data.engine() RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT 'timescale' $$;

ALTER TABLE data.events SET (timescaledb.compress, timescaledb.compress_segmentby = 'tenant_id, type',
                             timescaledb.compress_orderby = 'occurred_at, event_id');
ALTER TABLE data.metric_minute SET (timescaledb.compress,
                                    timescaledb.compress_segmentby = 'tenant_id, type',
                                    timescaledb.compress_orderby = 'bucket, kind, entity');

-- When a chunk was last compressed and how long it took.
CREATE TABLE data.compressions (
    chunk         text PRIMARY KEY,
    seconds       double precision NOT NULL,
    compressed_at timestamptz NOT NULL
);

-- Compresses the oldest chunk that ended so long ago, if any; returns how many. Late rows go to a
-- compressed chunk uncompressed; it is compressed again when an hour and 60 times its cost have passed.
CREATE FUNCTION data.compress_next(age interval) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    chunk   regclass;
    started timestamptz;
BEGIN
    SELECT format('%I.%I', c.schema_name, c.table_name)::regclass INTO chunk
    FROM _timescaledb_catalog.hypertable h
    JOIN _timescaledb_catalog.chunk c ON c.hypertable_id = h.id
    JOIN _timescaledb_catalog.chunk_constraint k ON k.chunk_id = c.id
    JOIN _timescaledb_catalog.dimension_slice s ON s.id = k.dimension_slice_id
    LEFT JOIN data.compressions d ON d.chunk = c.table_name
    WHERE h.schema_name = 'data' AND h.table_name IN ('events', 'metric_minute')
      -- status 0: not compressed; 8: some rows came later
      AND (c.status = 0 OR c.status & 8 <> 0)
      AND s.range_end <= extract(epoch FROM now() - age) * 1000000
      AND (d.chunk IS NULL OR clock_timestamp() >= d.compressed_at
           + greatest(interval '1 hour', d.seconds * interval '60 seconds'))
    ORDER BY s.range_end, h.id LIMIT 1;
    IF chunk IS NULL THEN
        RETURN 0;
    END IF;
    started := clock_timestamp();
    PERFORM public.compress_chunk(chunk);
    INSERT INTO data.compressions AS c (chunk, seconds, compressed_at)
    SELECT r.relname, extract(epoch FROM clock_timestamp() - started), clock_timestamp()
    FROM pg_class r WHERE r.oid = chunk
    ON CONFLICT ON CONSTRAINT compressions_pkey
    DO UPDATE SET seconds = excluded.seconds, compressed_at = excluded.compressed_at;
    RETURN 1;
END
$$;

-- Removes the oldest day beyond the horizon, if any, from both tables; returns how many days. Hours and
-- days stay: nothing is refreshed there again, as ensure_days takes no row of such a day. It waits
-- for nobody for long: others would queue up behind it. Then the next round tries again.
CREATE FUNCTION data.drop_next() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms'
    SET timescaledb.skip_cagg_invalidation = on
AS $$
DECLARE
    day date;
    part text;
BEGIN
    SELECT (to_timestamp(min(s.range_start) / 1000000.0) AT TIME ZONE 'UTC')::date INTO day
    FROM _timescaledb_catalog.hypertable h
    JOIN _timescaledb_catalog.dimension d ON d.hypertable_id = h.id
    JOIN _timescaledb_catalog.dimension_slice s ON s.dimension_id = d.id
    JOIN _timescaledb_catalog.chunk_constraint k ON k.dimension_slice_id = s.id
    WHERE h.schema_name = 'data' AND h.table_name IN ('events', 'metric_minute');
    IF day IS NULL OR (day < data.first_kept_day()) IS NOT TRUE OR data.is_day_marked(day) THEN
        RETURN 0;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('tidegate.ensure_days', 0));
    FOREACH part IN ARRAY ARRAY['data.events', 'data.metric_minute'] LOOP
        PERFORM public.drop_chunks(part::regclass, newer_than => data.day_start(day),
                                   older_than => data.day_start(day + 1));
    END LOOP;
    DELETE FROM data.compressions c
    WHERE NOT EXISTS (SELECT FROM _timescaledb_catalog.chunk k WHERE k.table_name = c.chunk);
    DELETE FROM data.refreshes r WHERE r.bucket < data.day_start(day + 1);
    RETURN 1;
EXCEPTION
    WHEN lock_not_available THEN
        RETURN 0;
END
$$;

REVOKE ALL ON FUNCTION data.engine(), data.compress_next(interval), data.drop_next() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION data.engine(), data.compress_next(interval), data.drop_next()
    TO tidegate_worker;
