-- Percentiles: what an hour's values looked like, kept as the bins of a DDSketch, and api.percentiles, which
-- merges them. Why in this shape: docs/decisions/0009-hour-bins.md.
--
-- A bin holds the values between two neighbouring powers of 1.02 and stands for all of them with a
-- relative error below 1 % (arXiv 1908.10693). Bins of the same number add up, so any range of
-- hours, kinds and entities can be merged. One row holds a series' hour: bin numbers ascending, and how many
-- values each has.
--
-- Why no percentile is ever stale. A row that commits leaves in the same transaction either
--   (a) a mark (touched_hours with late = false), or
--   (b) its value as a row of late_bins, with a mark that says so (late = true).
-- As long as a mark of kind (a) is there, or the one in unbinned_hours that takes its place when it is deleted,
-- readers take the hour from the events themselves; without such a mark from bins plus late_bins. Binning an
-- hour is one REPEATABLE READ transaction that reads the events, and deletes the marks and late rows, of one
-- snapshot. A row that commits after that snapshot was taken is not in the bins, but its mark or
-- its late row is not seen by the deletes either, and stays. A row that commits before it is in the bins, and its mark
-- or late row goes with the same COMMIT. There is no third case. Readers need nothing but one
-- snapshot, which a statement has.
-- Two maintainers cannot both bin: each transaction holds the lease's row, with its own epoch in it, to
-- the end; should that ever fail, both delete the same marks and one ends in 40001.

-- true: the batch has put its values of this hour into late_bins.
ALTER TABLE data.touched_hours ADD COLUMN late boolean NOT NULL DEFAULT false;

-- Closed hours whose bins are missing or incomplete. `rows`: events in the hour, about; NULL until a step has
-- looked.
CREATE TABLE data.unbinned_hours (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL,
    hour      timestamptz NOT NULL,
    marked_at timestamptz NOT NULL DEFAULT now(),
    rows      bigint
);
CREATE INDEX unbinned_hours_tenant ON data.unbinned_hours (tenant_id, hour);

-- Counts cannot overflow: an hour of more than 10 million rows is not binned (worker/bins.h).
CREATE TABLE data.metric_hour_bins (
    tenant_id text COLLATE "C" NOT NULL,
    type      text COLLATE "C" NOT NULL,
    bucket    timestamptz NOT NULL,
    kind      text COLLATE "C" NOT NULL,
    entity    text COLLATE "C" NOT NULL,
    bins      smallint[] NOT NULL, -- see api.bin_of
    counts    integer[] NOT NULL,
    PRIMARY KEY (tenant_id, type, bucket, kind, entity)
);

-- The same over all entities, for the questions that don't tell them apart: as cheap with 10,000 entities as
-- with one.
CREATE TABLE data.metric_hour_kind_bins (
    tenant_id text COLLATE "C" NOT NULL,
    type      text COLLATE "C" NOT NULL,
    bucket    timestamptz NOT NULL,
    kind      text COLLATE "C" NOT NULL,
    bins      smallint[] NOT NULL,
    counts    integer[] NOT NULL,
    PRIMARY KEY (tenant_id, type, bucket, kind)
);

-- Values that came after their hour was binned, appended by the workers and folded into the bins later.
CREATE TABLE data.late_bins (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL,
    type      text COLLATE "C" NOT NULL,
    hour      timestamptz NOT NULL,
    kind      text COLLATE "C" NOT NULL,
    entity    text COLLATE "C" NOT NULL,
    bin       smallint NOT NULL,
    count     integer NOT NULL CHECK (count > 0),
    added_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX late_bins_series ON data.late_bins (tenant_id, type, hour);

GRANT INSERT ON data.late_bins TO tidegate_worker;

-- --- numbers of bins ---

-- 0 is the value 0 and all below 1e-140 in magnitude; n > 0 the values in (1.02^(n-16385), 1.02^(n-16384)];
-- -n the same below zero. So the order of bins is the order of values. The last bin, 32767, takes
-- whatever lies above 1.02^16382 (7.7e140): a percentile that falls there reads as its 7.8e140.
CREATE FUNCTION api.bin_of(value double precision) RETURNS smallint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN value > 1e-140::double precision
        THEN least(16384 + ceil(ln(value) / ln(1.02::double precision)), 32767)
    WHEN value < -1e-140::double precision
        THEN -least(16384 + ceil(ln(-value) / ln(1.02::double precision)), 32767)
    ELSE 0
END::smallint;

-- What all values of a bin read as: off by less than 1 % of any of them.
CREATE FUNCTION api.bin_value(bin smallint) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN bin = 0 THEN 0
    ELSE sign(bin::double precision) * 2 / 2.02::double precision
         * power(1.02::double precision, abs(bin::integer) - 16384)
END;

-- --- marks ---

-- Whoever is done with a touched hour (the hour's roll-up, the folding of marks) leaves it to be binned. Nothing
-- is left for an hour that has another such mark: deleting that one comes here again, and
-- always later than the rows that the deleted mark stood for were committed.
CREATE FUNCTION data.note_unbinned() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO data.unbinned_hours (tenant_id, hour)
    SELECT DISTINCT d.tenant_id, d.hour FROM deleted d
    WHERE NOT d.late
      AND NOT EXISTS (SELECT FROM data.touched_hours t
                      WHERE t.tenant_id = d.tenant_id AND t.hour = d.hour AND NOT t.late);
    RETURN NULL;
END
$$;
CREATE TRIGGER note_unbinned AFTER DELETE ON data.touched_hours REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION data.note_unbinned();

-- What was stored before there were bins.
INSERT INTO data.unbinned_hours (tenant_id, hour)
SELECT DISTINCT m.tenant_id, date_bin('1 hour', m.bucket, '2000-01-01 00:00:00+00')
FROM data.metric_minute m
EXCEPT SELECT t.tenant_id, t.hour FROM data.touched_hours t;

-- --- maintenance ---

-- Every step begins so: a snapshot for the whole transaction, and the lease held until its end.
CREATE FUNCTION data.require_lease(holder bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('transaction_isolation') NOT IN ('repeatable read', 'serializable') THEN
        RAISE EXCEPTION 'binning needs a REPEATABLE READ transaction'
            USING ERRCODE = 'active_sql_transaction';
    END IF;
    PERFORM FROM data.leases l WHERE l.name = 'maintenance' AND l.epoch = holder FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the maintenance lease is no longer of epoch %', holder
            USING ERRCODE = 'lock_not_available';
    END IF;
END
$$;

-- A tenant's types with events on the hour's day or with bins. It leaps through the indexes from one type to the
-- next.
CREATE FUNCTION data.types_of_hour(tenant text, hour timestamptz) RETURNS SETOF text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    day timestamptz := date_bin('24 hours', hour, '2000-01-01 00:00:00+00');
BEGIN
    RETURN QUERY
    WITH RECURSIVE stored (type) AS (
        SELECT (SELECT min(e.type) FROM data.events e
                WHERE e.tenant_id = tenant
                  AND e.occurred_at >= day AND e.occurred_at < day + interval '24 hours')
        UNION ALL
        SELECT (SELECT min(e.type) FROM data.events e
                WHERE e.tenant_id = tenant AND e.type > s.type
                  AND e.occurred_at >= day AND e.occurred_at < day + interval '24 hours')
        FROM stored s WHERE s.type IS NOT NULL
    ), binned (type) AS (
        SELECT (SELECT min(b.type) FROM data.metric_hour_bins b WHERE b.tenant_id = tenant)
        UNION ALL
        SELECT (SELECT min(b.type) FROM data.metric_hour_bins b
                WHERE b.tenant_id = tenant AND b.type > s.type)
        FROM binned s WHERE s.type IS NOT NULL
    )
    SELECT s.type FROM stored s WHERE s.type IS NOT NULL
    UNION
    SELECT s.type FROM binned s WHERE s.type IS NOT NULL;
END
$$;

-- Says of up to 200 marks how many rows their hour has, by what the roll-up counted.
CREATE FUNCTION data.size_unbinned(closed timestamptz) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    mark record;
BEGIN
    FOR mark IN
        SELECT DISTINCT u.tenant_id, u.hour FROM data.unbinned_hours u
        WHERE u.rows IS NULL AND u.hour <= closed ORDER BY u.hour DESC, u.tenant_id LIMIT 200
    LOOP
        UPDATE data.unbinned_hours u
        SET rows = coalesce((SELECT sum(h.count)
                             FROM data.types_of_hour(mark.tenant_id, mark.hour) AS t (type)
                             JOIN data.metric_hour h
                               ON h.tenant_id = mark.tenant_id AND h.type = t.type
                                  AND h.bucket = mark.hour), 0)
        WHERE u.tenant_id = mark.tenant_id AND u.hour = mark.hour AND u.rows IS NULL;
    END LOOP;
END
$$;

-- Bins one tenant's hour from its events; returns how many values that were.
CREATE FUNCTION data.bin_hour(tenant text, hour timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
    SET jit = off SET work_mem = '64MB'
AS $$
DECLARE
    of_type text;
    part    bigint;
    total   bigint := 0;
BEGIN
    DELETE FROM data.unbinned_hours u WHERE u.tenant_id = tenant AND u.hour = bin_hour.hour;
    FOR of_type IN SELECT * FROM data.types_of_hour(tenant, bin_hour.hour) LOOP
        DELETE FROM data.late_bins l
        WHERE l.tenant_id = tenant AND l.type = of_type AND l.hour = bin_hour.hour;
        DELETE FROM data.metric_hour_bins b
        WHERE b.tenant_id = tenant AND b.type = of_type AND b.bucket = bin_hour.hour;
        DELETE FROM data.metric_hour_kind_bins b
        WHERE b.tenant_id = tenant AND b.type = of_type AND b.bucket = bin_hour.hour;
        WITH binned AS MATERIALIZED (
            SELECT e.kind, e.entity, api.bin_of(e.value) AS bin, count(*)::integer AS count
            FROM data.events e
            WHERE e.tenant_id = tenant AND e.type = of_type AND e.occurred_at >= bin_hour.hour
              AND e.occurred_at < bin_hour.hour + interval '1 hour' AND e.value IS NOT NULL
            GROUP BY 1, 2, 3
        ), by_series AS (
            INSERT INTO data.metric_hour_bins
            SELECT tenant, of_type, bin_hour.hour, b.kind, b.entity,
                   array_agg(b.bin ORDER BY b.bin), array_agg(b.count ORDER BY b.bin)
            FROM binned b GROUP BY b.kind, b.entity
        ), by_kind AS (
            INSERT INTO data.metric_hour_kind_bins
            SELECT tenant, of_type, bin_hour.hour, k.kind, array_agg(k.bin ORDER BY k.bin),
                   array_agg(k.count ORDER BY k.bin)
            FROM (SELECT b.kind, b.bin, sum(b.count)::integer AS count FROM binned b
                  GROUP BY b.kind, b.bin) k
            GROUP BY k.kind
        )
        SELECT coalesce(sum(b.count), 0) INTO part FROM binned b;
        total := total + part;
    END LOOP;
    RETURN total;
END
$$;

-- One step: closed hours are binned until they have step_rows rows together, those first that have
-- waited longest for their size, so that sparse ones don't wait for dense ones and none waits for ever. An
-- hour rests after its last mark, the longer the more rows it has: rows that still stream in would only
-- have it binned again. Hours of more than hour_rows rows are left as they are.
CREATE FUNCTION data.bin_hours(holder bigint, step_rows bigint, hour_rows bigint,
                               OUT hours integer, OUT binned bigint, OUT waiting bigint,
                               OUT too_dense bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- A batch that took an event of this hour for timely may still be on its way.
    closed timestamptz := now() - interval '1 hour' - interval '90 seconds';
    mark   record;
BEGIN
    PERFORM data.require_lease(holder);
    PERFORM data.size_unbinned(closed);
    hours := 0;
    binned := 0;
    FOR mark IN
        SELECT p.tenant_id, p.hour FROM (
            SELECT w.*, sum(w.rows) OVER (ORDER BY w.haste DESC, w.tenant_id, w.hour) - w.rows AS before
            FROM (SELECT u.tenant_id, u.hour, max(u.rows) AS rows,
                         (extract(epoch FROM now() - min(u.marked_at)) + 1) / (max(u.rows) + 1000)
                             AS haste
                  FROM data.unbinned_hours u WHERE u.hour <= closed
                  GROUP BY u.tenant_id, u.hour
                  HAVING bool_and(u.rows IS NOT NULL) AND max(u.rows) <= hour_rows
                     AND max(u.marked_at) <= now() - least(max(u.rows) / 50000.0, 300)
                                                     * interval '1 second') w
            WHERE NOT EXISTS (SELECT FROM data.touched_hours t
                              WHERE t.tenant_id = w.tenant_id AND t.hour = w.hour AND NOT t.late)) p
        WHERE p.before < step_rows ORDER BY p.haste DESC, p.tenant_id, p.hour LIMIT 500
    LOOP
        binned := binned + data.bin_hour(mark.tenant_id, mark.hour);
        hours := hours + 1;
    END LOOP;
    SELECT count(*) FILTER (WHERE w.rows IS NULL OR w.rows <= hour_rows),
           count(*) FILTER (WHERE w.rows > hour_rows) INTO waiting, too_dense
    FROM (SELECT max(u.rows) AS rows FROM data.unbinned_hours u
          WHERE u.hour <= closed GROUP BY u.tenant_id, u.hour) w;
END
$$;

-- Folds up to max_rows late rows that are 30 s old into the bins of their hours; returns how many. An hour that
-- is to be binned anyway keeps them until then.
CREATE FUNCTION data.fold_late_bins(holder bigint, max_rows integer, OUT folded integer)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET jit = off SET work_mem = '64MB'
AS $$
BEGIN
    PERFORM data.require_lease(holder);
    WITH taken AS MATERIALIZED (
        DELETE FROM data.late_bins l WHERE l.id = ANY (ARRAY(
            SELECT x.id FROM data.late_bins x
            WHERE x.added_at < now() - interval '30 seconds'
              AND NOT EXISTS (SELECT FROM data.unbinned_hours u
                              WHERE u.tenant_id = x.tenant_id AND u.hour = x.hour)
            ORDER BY x.id LIMIT max_rows))
        RETURNING l.tenant_id, l.type, l.hour, l.kind, l.entity, l.bin, l.count
    ), series AS (
        SELECT DISTINCT t.tenant_id, t.type, t.hour, t.kind, t.entity FROM taken t
    ), kinds AS (
        SELECT DISTINCT t.tenant_id, t.type, t.hour, t.kind FROM taken t
    ), by_series AS (
        INSERT INTO data.metric_hour_bins AS b (tenant_id, type, bucket, kind, entity, bins, counts)
        SELECT m.tenant_id, m.type, m.hour, m.kind, m.entity, array_agg(m.bin ORDER BY m.bin),
               array_agg(m.count ORDER BY m.bin)
        FROM (SELECT a.tenant_id, a.type, a.hour, a.kind, a.entity, a.bin,
                     sum(a.count)::integer AS count
              FROM (SELECT * FROM taken
                    UNION ALL
                    SELECT s.*, u.bin, u.count FROM series s
                    JOIN data.metric_hour_bins o
                      ON o.tenant_id = s.tenant_id AND o.type = s.type AND o.bucket = s.hour
                         AND o.kind = s.kind AND o.entity = s.entity
                    CROSS JOIN unnest(o.bins, o.counts) AS u (bin, count)) a
              GROUP BY a.tenant_id, a.type, a.hour, a.kind, a.entity, a.bin) m
        GROUP BY m.tenant_id, m.type, m.hour, m.kind, m.entity
        ON CONFLICT (tenant_id, type, bucket, kind, entity)
        DO UPDATE SET bins = excluded.bins, counts = excluded.counts
    ), by_kind AS (
        INSERT INTO data.metric_hour_kind_bins AS b (tenant_id, type, bucket, kind, bins, counts)
        SELECT m.tenant_id, m.type, m.hour, m.kind, array_agg(m.bin ORDER BY m.bin),
               array_agg(m.count ORDER BY m.bin)
        FROM (SELECT a.tenant_id, a.type, a.hour, a.kind, a.bin, sum(a.count)::integer AS count
              FROM (SELECT t.tenant_id, t.type, t.hour, t.kind, t.bin, t.count FROM taken t
                    UNION ALL
                    SELECT k.*, u.bin, u.count FROM kinds k
                    JOIN data.metric_hour_kind_bins o
                      ON o.tenant_id = k.tenant_id AND o.type = k.type AND o.bucket = k.hour
                         AND o.kind = k.kind
                    CROSS JOIN unnest(o.bins, o.counts) AS u (bin, count)) a
              GROUP BY a.tenant_id, a.type, a.hour, a.kind, a.bin) m
        GROUP BY m.tenant_id, m.type, m.hour, m.kind
        ON CONFLICT (tenant_id, type, bucket, kind)
        DO UPDATE SET bins = excluded.bins, counts = excluded.counts
    )
    SELECT count(*)::integer INTO folded FROM taken;
END
$$;

REVOKE ALL ON FUNCTION data.note_unbinned(), data.require_lease(bigint),
                       data.types_of_hour(text, timestamptz), data.size_unbinned(timestamptz),
                       data.bin_hour(text, timestamptz), data.bin_hours(bigint, bigint, bigint),
                       data.fold_late_bins(bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION data.bin_hours(bigint, bigint, bigint),
                          data.fold_late_bins(bigint, integer) TO tidegate_worker;

-- --- what a tenant may see ---

-- The hours to be read from api.events. Each half is a barrier of its own (see 0007).
CREATE VIEW data.hours_touched_unbinned WITH (security_barrier) AS
SELECT t.hour FROM data.touched_hours t WHERE t.tenant_id = (SELECT api.tenant()) AND NOT t.late;

CREATE VIEW data.hours_left_unbinned WITH (security_barrier) AS
SELECT u.hour FROM data.unbinned_hours u WHERE u.tenant_id = (SELECT api.tenant());

CREATE VIEW api.unbinned_hours WITH (security_barrier) AS
SELECT h.hour FROM data.hours_touched_unbinned h
UNION ALL
SELECT h.hour FROM data.hours_left_unbinned h;

-- The other hours: the sum of these, by bin, and of api.late_bins.
CREATE VIEW api.metric_hour_bins WITH (security_barrier) AS
SELECT b.type, b.bucket, b.kind, b.entity, b.bins, b.counts
FROM data.metric_hour_bins b
WHERE b.tenant_id = (SELECT api.tenant())
  AND b.bucket NOT IN (SELECT h.hour FROM api.unbinned_hours h);

CREATE VIEW api.metric_hour_kind_bins WITH (security_barrier) AS
SELECT b.type, b.bucket, b.kind, b.bins, b.counts
FROM data.metric_hour_kind_bins b
WHERE b.tenant_id = (SELECT api.tenant())
  AND b.bucket NOT IN (SELECT h.hour FROM api.unbinned_hours h);

CREATE VIEW api.late_bins WITH (security_barrier) AS
SELECT l.type, l.hour, l.kind, l.entity, l.bin, l.count
FROM data.late_bins l
WHERE l.tenant_id = (SELECT api.tenant())
  AND l.hour NOT IN (SELECT h.hour FROM api.unbinned_hours h);

-- The hours of [first, beyond) that have to be read from the events, as ranges of whole hours: the unbinned
-- ones and those that an edge cuts. At most 32 ranges: beyond that, neighbours become one.
CREATE FUNCTION api.ranges_of_events(edges timestamptz[], first timestamptz, beyond timestamptz,
                                     OUT starts timestamptz[], OUT ends timestamptz[])
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    gap interval := '1 hour';
BEGIN
    LOOP
        WITH hours AS (
            SELECT h.hour FROM api.unbinned_hours h WHERE h.hour >= first AND h.hour < beyond
            UNION
            SELECT date_bin('1 hour', e.edge, first) FROM unnest(edges) AS e (edge)
            WHERE e.edge > date_bin('1 hour', e.edge, first)
        ), steps AS (
            SELECT h.hour, h.hour - lag(h.hour) OVER (ORDER BY h.hour) <= gap AS joined FROM hours h
        ), runs AS (
            SELECT s.hour, count(*) FILTER (WHERE s.joined IS NOT TRUE) OVER (ORDER BY s.hour) AS run
            FROM steps s
        ), ranges AS (
            SELECT min(r.hour) AS low, max(r.hour) + interval '1 hour' AS high
            FROM runs r GROUP BY r.run
        )
        SELECT coalesce(array_agg(r.low ORDER BY r.low), '{}'),
               coalesce(array_agg(r.high ORDER BY r.low), '{}') INTO starts, ends
        FROM ranges r;
        EXIT WHEN cardinality(starts) <= 32;
        gap := gap * 2;
    END LOOP;
END
$$;

-- The values at these fractions (0 to 1) of the values that events of a type have, each right to 1 %: of n
-- values in order, number floor(fraction * (n - 1)), counted from 0. One group for each two
-- neighbouring edges [from, to), split by kind and entity if asked; a group without values is left out.
-- Runs with the caller's rights: it can read what the views above show and no more. The statement is put
-- together from the words below and numbers; everything given goes in as a parameter.
CREATE FUNCTION api.percentiles(of_type text, edges timestamptz[], fractions double precision[],
                                kinds text[] DEFAULT NULL, entities text[] DEFAULT NULL,
                                by_kind boolean DEFAULT false, by_entity boolean DEFAULT false)
    RETURNS TABLE (bucket timestamptz, kind text, entity text, count bigint,
                   fraction double precision, value double precision)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    first  timestamptz;
    beyond timestamptz;
    starts timestamptz[];
    ends   timestamptz[];
    parts  text := '';
    series boolean := entities IS NOT NULL OR by_entity;
    several boolean := cardinality(edges) > 2;
    keys   text := '4' || CASE WHEN by_kind THEN ', 2' ELSE '' END
                       || CASE WHEN by_entity THEN ', 3' ELSE '' END;
BEGIN
    IF coalesce(cardinality(edges), 0) NOT BETWEEN 2 AND 10001
       OR EXISTS (SELECT FROM (SELECT e.edge, lag(e.edge) OVER (ORDER BY e.n) AS before
                               FROM unnest(edges) WITH ORDINALITY AS e (edge, n)) x
                  WHERE x.edge IS NULL OR NOT isfinite(x.edge) OR x.edge <= x.before) THEN
        RAISE EXCEPTION 'edges must be 2 to 10001 ascending times'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF coalesce(cardinality(fractions), 0) NOT BETWEEN 1 AND 100
       OR EXISTS (SELECT FROM unnest(fractions) AS f (q)
                  WHERE f.q IS NULL OR NOT f.q BETWEEN 0 AND 1) THEN
        RAISE EXCEPTION 'fractions must be 1 to 100 numbers between 0 and 1'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    first := date_bin('1 hour', edges[1], '2000-01-01 00:00:00+00');
    beyond := edges[cardinality(edges)];
    SELECT r.starts, r.ends INTO starts, ends FROM api.ranges_of_events(edges, first, beyond) r;

    -- What is the same for all rows is written as a constant and left out of GROUP BY, and counts are added
    -- as doubles (exact up to 2^53): half of what a row costs otherwise.
    FOR i IN 1 .. cardinality(starts) LOOP
        parts := parts || format($part$
            UNION ALL
            SELECT %2$s, %3$s, %4$s, api.bin_of(e.value), count(*)::float8
            FROM api.events e
            WHERE e.type = $1 AND e.occurred_at >= greatest(($6)[%1$s], ($2)[1])
              AND e.occurred_at < least(($7)[%1$s], $9) AND e.value IS NOT NULL
              AND ($4 IS NULL OR e.kind = ANY ($4)) AND ($5 IS NULL OR e.entity = ANY ($5))
            GROUP BY %5$s$part$, i,
            CASE WHEN several THEN 'width_bucket(e.occurred_at, $2)' ELSE '1' END,
            CASE WHEN by_kind THEN 'e.kind' ELSE 'NULL::text' END,
            CASE WHEN by_entity THEN 'e.entity' ELSE 'NULL::text' END,
            keys || CASE WHEN several THEN ', 1' ELSE '' END);
    END LOOP;

    RETURN QUERY EXECUTE format($whole$
        WITH parts (n, kind, entity, bin, count) AS (
            SELECT %4$s, %5$s, %6$s, u.bin, sum(u.count)::float8
            FROM %2$s b CROSS JOIN unnest(b.bins, b.counts) AS u (bin, count)
            WHERE b.type = $1 AND b.bucket >= $8 AND b.bucket < $9
              AND width_bucket(b.bucket, $6) = width_bucket(b.bucket, $7)
              AND ($4 IS NULL OR b.kind = ANY ($4)) AND ($5 IS NULL OR %1$s = ANY ($5))
            GROUP BY %7$s
            UNION ALL
            SELECT width_bucket(l.hour, $2), %8$s, %9$s, l.bin, sum(l.count)::float8
            FROM api.late_bins l
            WHERE l.type = $1 AND l.hour >= $8 AND l.hour < $9
              AND width_bucket(l.hour, $6) = width_bucket(l.hour, $7)
              AND ($4 IS NULL OR l.kind = ANY ($4)) AND ($5 IS NULL OR l.entity = ANY ($5))
            GROUP BY 1, 2, 3, 4%3$s
        ), merged AS (
            SELECT p.n, p.kind, p.entity, p.bin, sum(p.count) AS count
            FROM parts p GROUP BY p.n, p.kind, p.entity, p.bin
        ), ranked AS (
            SELECT m.*,
                   sum(m.count) OVER (PARTITION BY m.n, m.kind, m.entity ORDER BY m.bin) AS upto,
                   sum(m.count) OVER (PARTITION BY m.n, m.kind, m.entity) AS total
            FROM merged m
        )
        SELECT ($2)[r.n], r.kind, r.entity, r.total::bigint, f.q, api.bin_value(r.bin)
        FROM ranked r JOIN unnest($3) AS f (q)
          ON floor(f.q * (r.total - 1)) < r.upto AND floor(f.q * (r.total - 1)) >= r.upto - r.count
        ORDER BY r.n, r.kind, r.entity, f.q$whole$,
        CASE WHEN series THEN 'b.entity' ELSE 'NULL::text' END,
        CASE WHEN series THEN 'api.metric_hour_bins' ELSE 'api.metric_hour_kind_bins' END, parts,
        CASE WHEN several THEN 'width_bucket(b.bucket, $2)' ELSE '1' END,
        CASE WHEN by_kind THEN 'b.kind' ELSE 'NULL::text' END,
        CASE WHEN by_entity THEN 'b.entity' ELSE 'NULL::text' END,
        keys || CASE WHEN several THEN ', 1' ELSE '' END,
        CASE WHEN by_kind THEN 'l.kind' ELSE 'NULL::text' END,
        CASE WHEN by_entity THEN 'l.entity' ELSE 'NULL::text' END)
    USING of_type, edges, fractions, kinds, entities, starts, ends,
          -- the hour that the first edge cuts is among the ranges
          first, beyond;
END
$$;

REVOKE ALL ON FUNCTION api.bin_of(double precision), api.bin_value(smallint),
                       api.ranges_of_events(timestamptz[], timestamptz, timestamptz),
                       api.percentiles(text, timestamptz[], double precision[], text[], text[],
                                       boolean, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.bin_of(double precision), api.bin_value(smallint),
                          api.ranges_of_events(timestamptz[], timestamptz, timestamptz),
                          api.percentiles(text, timestamptz[], double precision[], text[], text[],
                                          boolean, boolean) TO tidegate_query, tidegate_sql;
GRANT SELECT ON api.unbinned_hours, api.metric_hour_bins, api.metric_hour_kind_bins, api.late_bins
    TO tidegate_query, tidegate_sql;
