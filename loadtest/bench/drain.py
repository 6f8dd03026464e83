"""The worker draining a filled partition, beside the raw deduplicating insert of the same rows.

What the worker does beside the insert depends on how many aggregate keys (minutes of series) a batch
touches, so each line says its keys per row, and there are five kinds of traffic: live, where a batch of
60 series lies within a minute or two; the backlog of a quiet topic, where it spans so many minutes that
every other row has a key of its own; 6,000 series that are as unequal as real ones (Zipf's law,
exponent 0.83); and the worst case, 6,000 equal ones over minutes.

The rate is that between the first and the last batch, by their processed_at, so that neither the
worker's start nor its joining the group counts.
"""

from dataclasses import dataclass
from pathlib import Path

from bench.procs import cpu_seconds
from bench.result import Result, middle, rounds, say
from bench.stack import finish

ROWS = 100_000
FILL = 300  # s that a drain may take
TOPIC = "events.order"


@dataclass(frozen=True)
class Traffic:
    name: str
    step_ms: int  # between two events
    batch: int  # rows per transaction
    bar: int  # % of the raw insert
    series: int = 60
    skew: int = 1  # see raw_produce


TRAFFIC = (
    Traffic("60 series, live", 20, 2000, 68),
    Traffic("60 series, backlog", 648, 2000, 68),
    Traffic("60 series, backlog", 648, 5000, 75),
    Traffic("6,000 series", 20, 2000, 68, 6000, 6),
    Traffic("6,000 series", 20, 5000, 75, 6000, 6),
    Traffic("6,000 series, worst", 60, 2000, 50, 6000),
)

FIGURES = """
WITH batches AS (
    SELECT processed_at, count(*) AS rows,
           count(DISTINCT (kind, entity, date_trunc('minute', occurred_at))) AS keys
    FROM data.events GROUP BY processed_at)
SELECT sum(rows), count(*), sum(keys) / sum(rows),
       (sum(rows) - (array_agg(rows ORDER BY processed_at DESC))[1])
       / extract(epoch FROM max(processed_at) - min(processed_at))
FROM batches;
"""
EMPTY = """
TRUNCATE data.events, data.metric_minute, data.touched_hours, data.touched_days, data.unbinned_hours,
         data.late_bins, data.metric_hour_bins, data.metric_hour_kind_bins;
TRUNCATE data.metric_hour;
TRUNCATE data.metric_day;
CHECKPOINT;
"""
EMPTY_TIMESCALE = "TRUNCATE data.refreshes;"
BY_ID = """
ALTER TABLE bench.events DROP CONSTRAINT events_pkey, ADD PRIMARY KEY (tenant_id, type, event_id, occurred_at);
"""
SCHEMA_ID = "SELECT max(schema_id) FROM control.subject_versions WHERE subject = 'order-value';"
BACKENDS = """
SELECT DISTINCT o.backend_pid FROM data.consumer_offsets o JOIN pg_stat_activity a ON a.pid = o.backend_pid;
"""


def filling(stack, partition, rows, step_ms, *words):
    """Starts to put orders, `step_ms` apart and ending now, into one partition of their topic."""
    return stack.tool_start(
        "raw_produce",
        f"--kafka.brokers={stack.env['TIDEGATE_KAFKA']}",
        f"--raw.topic={TOPIC}",
        f"--raw.partition={partition}",
        f"--raw.schema_id={stack.sql(SCHEMA_ID)[0][0]}",
        f"--raw.count={rows}",
        f"--raw.step={step_ms}ms",
        f"--raw.start_ago={rows * step_ms}ms",
        *words,
    )


def fill(*words):
    finish(filling(*words))


def empty(stack):
    """Forgets all events and what was made of them, with the worker stopped."""
    stack.sql(EMPTY, "postgres")
    if stack.engine == "timescale":
        stack.sql(EMPTY_TIMESCALE, "postgres")


def raw_insert(stack, name="raw", by_id=False):
    """The rows of data.events once more, in the batches in which they are there, into a table with the same key,
    or with the usual one, which has the event's id before its time."""
    stack.sql((Path(__file__).parent / "drain.sql").read_text(encoding="utf-8"))
    if by_id:
        stack.sql(BY_ID)
    stack.sql("CHECKPOINT;", "postgres")
    order = f"--raw.by_id={str(by_id).lower()}"
    had = stack.tool("raw_insert", order, TIDEGATE_RAW_INSERT_PG_DSN=stack.env["TIDEGATE_DSN"])
    return {
        f"{name}_rate": had["rows"] / had["seconds"],
        f"{name}_us": had["cpu_seconds"] / had["rows"] * 1e6,
        f"{name}_backend_us": had["backend_seconds"] / had["rows"] * 1e6,
    }


def _drain(stack, batch):
    """Starts the worker and waits for the last row; its rate and CPU. One partition is one thread's: a second
    one would only join the group in the middle of it."""
    stack.start("worker", TIDEGATE_WORKER_BATCH_MAX_ROWS=str(batch), TIDEGATE_WORKER_WORKER_THREADS="1")
    stack.settle(FILL)
    spent = cpu_seconds(stack.pid("worker"))
    backend = sum(cpu_seconds(int(row[0])) for row in stack.sql(BACKENDS))
    rows, batches, keys, rate = (float(figure) for figure in stack.sql(FIGURES)[0])
    stack.stop("worker")
    return {
        "worker_rate": rate,
        "worker_us": spent / rows * 1e6,
        "worker_backend_us": backend / rows * 1e6,
        "keys_per_row": keys,
        "batch": rows / batches,
    }


def compare(stack, traffic):
    """One round: the worker, then the raw insert of the very same batches, by either key."""
    empty(stack)
    fill(stack, 0, stack.size(ROWS), traffic.step_ms, f"--raw.series={traffic.series}", f"--raw.skew={traffic.skew}")
    stack.sql("CHECKPOINT;", "postgres")
    had = _drain(stack, traffic.batch) | raw_insert(stack) | raw_insert(stack, "by_id", by_id=True)
    ours, raw = (had[f"{who}_us"] + had[f"{who}_backend_us"] for who in ("worker", "by_id"))
    return had | {
        "ratio": 100 * had["worker_rate"] / had["by_id_rate"],
        "own_ratio": 100 * had["worker_rate"] / had["raw_rate"],
        "cpu_ratio": 100 * raw / ours,
    }


def _result(stack, traffic):
    had, others = rounds(stack, lambda: compare(stack, traffic))
    value = {figure: middle(had, figure) for figure in had[0]}
    return Result(
        name=f"drain, {traffic.name}, {traffic.batch // 1000},000",
        engine=stack.engine,
        unit="% of raw",
        ours=value["ratio"],
        bar=traffic.bar,
        at_most=False,
        raw=f"{value['keys_per_row']:.2f} keys/row; raw deduplicating insert {value['by_id_rate']:,.0f} rows/s; "
        f"by our key {value['raw_rate']:,.0f} rows/s ({value['own_ratio']:.0f} %)",
        detail=f"{value['worker_rate']:,.0f} rows/s, {value['batch']:.0f} rows per batch; CPU per row: worker "
        f"{value['worker_us']:.1f} + backend {value['worker_backend_us']:.1f} µs, raw {value['by_id_us']:.1f} + "
        f"{value['by_id_backend_us']:.1f} µs ({value['cpu_ratio']:.0f} %)",
        others=others,
        figures=value,
    )


def measure(stack):
    """Called with the worker stopped and no backlog; leaves it so."""
    for traffic in TRAFFIC:
        say(f"{stack.engine}: drain, {traffic.name}, batches of {traffic.batch}")
        yield _result(stack, traffic)
