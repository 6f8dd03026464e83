"""Late rows: 1 % of a load at full rate lies anywhere in the last 24 hours.

An hour has to be exact as soon as a row of it commits, late or not. So while the worker drains, and
afterwards, each hour that a tenant can see is compared with the fold of its rows, in one statement
and so at one moment. Then: how many closed hours are still marked when the last row is stored, and how
long maintenance takes to roll all of them up.
"""

import time

from bench.drain import empty, fill, raw_insert
from bench.procs import Others
from bench.result import Result, say
from bench.stack import TENANT, BenchError

ROWS = 200_000  # twice
STEP_MS = 5
PERMILLE = 10
GONE_S = 60  # bar
GIVE_UP = 180

# As the query service sees it: its role, its views, its tenant.
COMPARE = f"""
BEGIN;
SET LOCAL statement_timeout = '60s';
SET LOCAL work_mem = '64MB';
SET LOCAL tidegate.tenant = '{TENANT}';
WITH fold AS (
    SELECT type, date_trunc('hour', occurred_at) AS bucket, kind, entity, count(*) AS count,
           count(value) AS value_count, sum(value::text::numeric) AS sum, min(value) AS min,
           max(value) AS max
    FROM api.events GROUP BY 1, 2, 3, 4
), shown AS (
    SELECT type, bucket, kind, entity, count, value_count, sum, min, max FROM api.metric_hour
)
SELECT coalesce(sum(f.count), 0), count(DISTINCT f.bucket), count(*),
       count(*) FILTER (WHERE (f.count, f.value_count, f.sum, f.min, f.max)
                       IS DISTINCT FROM (s.count, s.value_count, s.sum, s.min, s.max))
FROM fold f FULL JOIN shown s USING (type, bucket, kind, entity);
COMMIT;
"""
MARKS = """
SELECT count(*), count(DISTINCT hour) FROM data.touched_hours WHERE hour <= now() - interval '1 hour';
"""
FIRST_AND_LAST = """
SELECT count(*) / extract(epoch FROM max(processed_at) - min(processed_at)) FROM data.events;
"""


def _compare(stack):
    """(rows, hours, hours of series, those that differ), at one moment."""
    return tuple(int(figure) for figure in stack.sql(COMPARE, "query")[0])


def _marks(stack):
    return tuple(int(figure) for figure in stack.sql(MARKS)[0])


def _watch(stack, total):
    """Compares again and again until all rows are there; what was seen."""
    seen = []
    deadline = time.monotonic() + GIVE_UP
    while not seen or seen[-1][0] < total:
        if time.monotonic() > deadline:
            raise BenchError("the worker does not drain the late rows")
        time.sleep(1)
        seen.append(_compare(stack))
    return seen


def _wait_for_no_marks(stack):
    start = time.monotonic()
    while _marks(stack)[0] > 0:
        if time.monotonic() - start > GIVE_UP:
            raise BenchError(f"{_marks(stack)} marks are left after {GIVE_UP} s")
        time.sleep(0.2)
    return time.monotonic() - start


def _run(stack):
    empty(stack)
    total = 2 * stack.size(ROWS)
    for _ in range(2):
        fill(stack, 0, total // 2, STEP_MS, f"--raw.late_permille={PERMILLE}", "--raw.late=24h")
    stack.start("worker")
    seen = _watch(stack, total)
    marks, hours = _marks(stack)
    seconds = _wait_for_no_marks(stack)
    seen.append(_compare(stack))
    stack.stop("worker")
    return {
        "rows": total,
        "compared": len(seen),
        "rows_at": [row[0] for row in seen],
        "hours": seen[-1][1],
        "hours_of_series": seen[-1][2],
        "unlike": sum(row[3] for row in seen),
        "marks": marks,
        "marked_hours": hours,
        "gone_s": seconds,
        "rate": float(stack.sql(FIRST_AND_LAST)[0][0]),
    }


def measure(stack):
    """Called with the worker stopped and no backlog; leaves it so."""
    say(f"{stack.engine}: late rows")
    with Others(stack.pids) as others:
        value = _run(stack)
        value |= raw_insert(stack)
    yield Result(
        name="1 % late: hours unlike the fold",
        engine=stack.engine,
        unit="hours",
        ours=value["unlike"],
        bar=0,
        raw=f"{value['compared']} comparisons, {value['hours']} hours, {value['hours_of_series']:,} of series",
        detail=f"{value['rows']:,} rows at {value['rate']:,.0f} rows/s, comparisons beside them (raw insert "
        f"{value['raw_rate']:,.0f})",
        figures=value,
    )
    yield Result(
        name="1 % late: all rolled up after",
        engine=stack.engine,
        unit="s",
        ours=value["gone_s"],
        bar=GONE_S,
        raw=f"{value['marked_hours']} closed hours marked ({value['marks']} marks) at the last row",
        others=others.share,
        figures=value,
    )
