-- What retention (0030) looks through: the chunks that begin before a moment; those of events and minutes, a day
-- each, then also end by it. `packed` is the table that holds a compressed chunk's batches, by tenant and type.

-- Rows of hours and days are deleted where the continuous aggregates keep them, which is the worker's.
GRANT tidegate_worker TO CURRENT_USER;
SET LOCAL ROLE tidegate_worker;
GRANT SELECT, DELETE ON data.metric_hour, data.metric_day TO SESSION_USER;
RESET ROLE;
REVOKE tidegate_worker FROM CURRENT_USER;

CREATE FUNCTION data.old_parts(upto timestamptz)
    RETURNS TABLE (relation text, part text, packed text, day timestamptz)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT t.relation, format('%I.%I', c.schema_name, c.table_name),
           CASE WHEN c.status & 1 <> 0 THEN format('%I.%I', p.schema_name, p.table_name) END,
           CASE WHEN t.relation IN ('events', 'metric_minute') THEN to_timestamp(s.range_start / 1000000.0) END
    FROM (SELECT h.id, h.table_name::text FROM _timescaledb_catalog.hypertable h
          WHERE h.schema_name = 'data' AND h.table_name IN ('events', 'metric_minute')
          UNION ALL
          SELECT a.mat_hypertable_id, a.user_view_name::text FROM _timescaledb_catalog.continuous_agg a
          WHERE a.user_view_schema = 'data' AND a.user_view_name IN ('metric_hour', 'metric_day'))
         AS t (id, relation)
    JOIN _timescaledb_catalog.chunk c ON c.hypertable_id = t.id
    JOIN _timescaledb_catalog.chunk_constraint k ON k.chunk_id = c.id
    JOIN _timescaledb_catalog.dimension_slice s ON s.id = k.dimension_slice_id
    LEFT JOIN _timescaledb_catalog.chunk p ON p.id = c.compressed_chunk_id
    WHERE s.range_start < extract(epoch FROM upto) * 1000000
$$;

REVOKE ALL ON FUNCTION data.old_parts(timestamptz) FROM PUBLIC;
