"""The worker draining a filled partition, beside the raw deduplicating insert of the same rows.

One partition, 60 series. What the worker does beside the insert depends on how many minutes of
series a batch touches, so there are two: live traffic, where a batch of 2,000 rows lies within a
minute or two, and the backlog of a quiet topic, where it spans so many minutes that it has 1,000
aggregate keys.

The rate is that between the first and the last batch, by their processed_at, so that neither the
worker's start nor its joining the group counts.
"""

import time
from pathlib import Path

from bench.procs import cpu_seconds
from bench.result import Result, middle, rounds
from bench.stack import BenchError

ROWS = 100_000
STEP_MS = 648  # 60 series, 2,000 rows in 21.6 minutes: 0.51 keys per row
STEP_LIVE_MS = 20  # 2,000 rows in 40 seconds: 0.05
FILL = 300  # s that a drain may take

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
EMPTY = "TRUNCATE data.events, data.metric_minute, data.touched_hours, data.touched_days;"
SCHEMA_ID = "SELECT max(schema_id) FROM control.subject_versions WHERE subject = 'order-value';"
BACKENDS = "SELECT DISTINCT backend_pid FROM data.consumer_offsets WHERE topic = 'events.order' AND partition = 0;"


def _fill(stack, schema_id, step_ms):
    stack.tool(
        "raw_produce",
        f"--kafka.brokers={stack.env['TIDEGATE_KAFKA']}",
        "--raw.topic=events.order",
        "--raw.partition=0",
        f"--raw.schema_id={schema_id}",
        f"--raw.count={ROWS}",
        f"--raw.step={step_ms}ms",
        f"--raw.start_ago={ROWS * step_ms}ms",
    )


def _drain(stack):
    """Starts the worker and waits for the last row; its rate and CPU."""
    stack.start("worker")
    deadline = time.monotonic() + FILL
    while int(stack.sql("SELECT count(*) FROM data.events;")[0][0]) < ROWS:
        if time.monotonic() > deadline:
            raise BenchError("the worker does not drain the topic")
        time.sleep(0.5)
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


def _insert(stack):
    stack.sql((Path(__file__).parent / "drain.sql").read_text(encoding="utf-8"))
    stack.sql("CHECKPOINT;", superuser=True)
    had = stack.tool("raw_insert", TIDEGATE_RAW_INSERT_PG_DSN=stack.env["TIDEGATE_DSN"])
    return {
        "raw_rate": had["rows"] / had["seconds"],
        "raw_us": had["cpu_seconds"] / had["rows"] * 1e6,
        "raw_backend_us": had["backend_seconds"] / had["rows"] * 1e6,
    }


def _compare(stack, step_ms):
    stack.sql(EMPTY)
    _fill(stack, stack.sql(SCHEMA_ID)[0][0], step_ms)
    stack.sql("CHECKPOINT;", superuser=True)
    had = _drain(stack) | _insert(stack)
    ours, raw = (had[f"{who}_us"] + had[f"{who}_backend_us"] for who in ("worker", "raw"))
    return had | {"ratio": 100 * had["worker_rate"] / had["raw_rate"], "cpu_ratio": 100 * raw / ours}


def _result(stack, name, step_ms):
    had, others = rounds(stack, lambda: _compare(stack, step_ms))
    value = {figure: middle(had, figure) for figure in had[0]}
    return Result(
        name=f"worker drain, {name}",
        unit="% of raw",
        ours=value["ratio"],
        bar=70,
        at_most=False,
        raw=f"raw deduplicating insert {value['raw_rate']:,.0f} rows/s",
        detail=f"{value['worker_rate']:,.0f} rows/s, {value['keys_per_row']:.2f} aggregate keys per row, "
        f"{value['batch']:.0f} rows per batch; CPU per row: worker {value['worker_us']:.1f} + backend "
        f"{value['worker_backend_us']:.1f} µs, raw {value['raw_us']:.1f} + {value['raw_backend_us']:.1f} µs "
        f"({value['cpu_ratio']:.0f} %)",
        others=others,
        figures=value,
    )


def measure(stack):
    """Called with the worker stopped and no backlog; leaves it so."""
    yield _result(stack, "live traffic", STEP_LIVE_MS)
    yield _result(stack, "wide backlog", STEP_MS)
