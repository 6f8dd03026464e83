"""Reads of a store with millions of events: KPIs per minute, from the database and from the cache.

The events are put there by SQL, with the minutes that follow from them; all are one tenant's and of the
last 24 hours, which is the worst that a window of 24 hours can meet. Questions that no cache can answer
differ in their limit. Beside the database's answers stands the same statement without the views and
without tidegate, by psql; beside the cached ones, hello world.
"""

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from bench.drain import empty
from bench.post import hello
from bench.procs import cpu_seconds
from bench.result import Result, middle, rounds, say
from bench.stack import BenchError, finish

KINDS = {"order": "{USD,EUR,GBP,JPY,CHF,SEK}", "session": "{view,checkout,purchase}"}
CONNECTIONS = 32
ASKED = 30  # by psql
TIME = re.compile(r"^Time: ([0-9.]+) ms", re.MULTILINE)

# Rolls the closed hours up, as the worker's maintenance does; the open one stays marked.
HOURS = {
    "plain": """
INSERT INTO data.touched_hours (tenant_id, hour)
SELECT DISTINCT 'demo', date_trunc('hour', bucket) FROM data.metric_minute;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT data.refresh_hours(100);
COMMIT;
""",
    "timescale": """
CALL public.refresh_continuous_aggregate('data.metric_hour', date_trunc('hour', now()) - interval '25 hours',
                                         date_trunc('hour', now()), force => true);
INSERT INTO data.touched_hours (tenant_id, hour) VALUES ('demo', date_trunc('hour', now()));
""",
}

# What /v1/kpi/minute asks, straight from the table.
KPI = """
WITH o AS (SELECT bucket, kind AS currency, sum(count) AS orders, sum(sum) AS revenue,
                  sum(value_count) AS priced
           FROM data.metric_{level} WHERE tenant_id = 'demo' AND type = 'order' AND {range} GROUP BY bucket, kind),
s AS (SELECT bucket, coalesce(sum(count) FILTER (WHERE kind = 'view'), 0) AS views,
             coalesce(sum(count) FILTER (WHERE kind = 'checkout'), 0) AS checkouts,
             coalesce(sum(count) FILTER (WHERE kind = 'purchase'), 0) AS purchases
      FROM data.metric_{level} WHERE tenant_id = 'demo' AND type = 'session' AND {range} GROUP BY bucket)
SELECT bucket, currency, orders, revenue, revenue / nullif(priced, 0), views, checkouts, purchases
FROM o FULL JOIN s USING (bucket) ORDER BY bucket DESC, currency LIMIT {limit};
"""


def fill(stack, rows):
    """Orders and sessions side by side, half of the rows each."""
    say(f"query: {rows:,} events")
    start = time.monotonic()
    empty(stack)
    stack.sql("SELECT data.ensure_days(ARRAY[current_date - 1, current_date]);")
    text = (Path(__file__).parent / "query.sql").read_text(encoding="utf-8")
    stack.parallel_sql(
        f"\\set type {name}\n\\set kinds {kinds}\n\\set rows {rows // 2}\n{text}" for name, kinds in KINDS.items()
    )
    stack.sql(HOURS[stack.engine], "postgres")
    stack.sql("VACUUM (ANALYZE) data.metric_minute; VACUUM (ANALYZE) data.events; CHECKPOINT;", "postgres")
    return time.monotonic() - start


def _psql(stack, level, hours):
    """The same question by psql, ms each."""
    bounds = f"bucket >= now() - interval '{hours} hours' AND bucket < now()"
    each = "".join(KPI.format(level=level, range=bounds, limit=2000 + number) for number in range(ASKED))
    out = "\n".join(stack.lines(f"\\o /dev/null\nSET jit = off;\n\\timing on\n{each}"))
    had = sorted(float(ms) for ms in TIME.findall(out))
    if len(had) != ASKED:
        raise BenchError("psql did not say how long it took")
    return {"raw_p50": median(had), "raw_p99": had[-1]}


def _ask(stack, path, *words):
    names = ("gateway", "query", "redis")
    before = {name: cpu_seconds(stack.pid(name)) for name in names}
    had = finish(stack.load(f"--load.get={path}", *words))
    if had["errors"] > 0 or had["requests"] == 0:
        raise BenchError(f"{had['errors']} of {had['requests']} questions failed, the last with {had['bad_code']}")
    spent = {name: cpu_seconds(stack.pid(name)) - start for name, start in before.items()}
    return had | {f"{name}_us": seconds / had["requests"] * 1e6 for name, seconds in spent.items()}


def _uncached(stack, level, hours, bar):
    """Questions one after the other, each as soon as the one before is answered."""
    words = ("--load.connections=1", "--load.seconds=5s")

    def once():
        since = datetime.now(UTC) - timedelta(hours=hours)
        path = f"/v1/kpi/{level}?from={since:%Y-%m-%dT%H:%M:%SZ}&limit={{n}}"
        return _ask(stack, path, *words) | _psql(stack, level, hours)

    _ask(stack, f"/v1/kpi/{level}?limit={{n}}", "--load.connections=1", "--load.seconds=1s")  # warm
    had, others = rounds(stack, once)
    value = {figure: middle(had, figure) for figure in had[0]}
    return Result(
        name=f"kpi/{level}, {hours} h, uncached p99",
        engine=stack.engine,
        unit="ms",
        ours=value["p99_ms"],
        bar=bar,
        raw=f"the statement by psql p50 {value['raw_p50']:.1f}, worst of {ASKED} {value['raw_p99']:.1f} ms",
        detail=f"p50 {value['p50_ms']:.1f} ms, {value['requests'] / value['seconds']:.0f} questions/s, "
        f"{value['answer_bytes'] / 1024:.0f} KiB each; CPU gateway "
        f"{value['gateway_us']:.0f} + query {value['query_us']:.0f} µs",
        others=others,
        figures=value,
    )


def _cached(stack, name, path, bar):
    def once():
        return _ask(stack, path, f"--load.connections={CONNECTIONS}", "--load.seconds=3s") | hello(stack)

    had, others = rounds(stack, once)
    value = {figure: middle(had, figure) for figure in had[0]}
    return Result(
        name=f"kpi/minute, {name}, cached",
        engine=stack.engine,
        unit="µs CPU",
        ours=value["gateway_us"] + value["query_us"],
        bar=bar,
        raw=f"h2o hello world {value['hello_us']:.1f} µs, {value['hello_rps']:,.0f}/s",
        detail=f"gateway {value['gateway_us']:.1f} + query {value['query_us']:.1f} µs, Redis beside them "
        f"{value['redis_us']:.1f} µs; {value['requests'] / value['seconds']:,.0f}/s, p50 {value['p50_ms']:.1f} ms, "
        f"p99 {value['p99_ms']:.1f} ms, {value['answer_bytes'] / 1024:.0f} KiB each",
        others=others,
        figures=value,
    )


def measure(stack, rows):
    """Called with the worker stopped; forgets all events before and after."""
    seconds = fill(stack, rows)
    say(f"query: {rows:,} events in {seconds:.0f} s; questions")
    yield _uncached(stack, "minute", 2, 25)
    yield _uncached(stack, "minute", 24, 60)
    yield _uncached(stack, "hour", 24, 60)
    yield _cached(stack, "one currency", "/v1/kpi/minute?currency=EUR", 40)
    yield _cached(stack, "six currencies", "/v1/kpi/minute", None)
    empty(stack)
