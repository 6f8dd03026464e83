"""Two workers that store the same series at the same time, beside one that does the same work alone.

Two of a worker's threads, each with a consumer and a connection of its own: for the store they are two
workers. Two partitions are filled with orders of the same 60 series over the same hours, so that both
write the same aggregate keys, which only moved partitions make them do in earnest. The one has both partitions as
well: of each key that two partitions share, one write is an insert and the other an update, which costs more, so that
a single partition would be other work, and less. The group has settled before
there is anything to store, and the worker stands still while the partitions are filled. Counted is what is stored
from when all is in Kafka, of one until nearly all is stored, of two until one of them has nothing left to do, from
samples of the offsets; and PostgreSQL's own count of deadlocks. A round is shorter than the pause between two rounds of maintenance, so that one of them would
fall on some and not on others: it is off.
"""

import os
import signal
import time
from contextlib import contextmanager

from bench.drain import FILL, TOPIC, Traffic, empty, filling, raw_insert
from bench.result import Result, middle, rounds, say
from bench.stack import BenchError, finish

ROWS = 200_000  # in each partition
ROWS_LEAST = 120_000  # below that they hardly meet
PARTITIONS = (0, 3)  # the assignor gives 0 to 2 to one consumer, 3 to 5 to the other
TRAFFIC = Traffic("60 series, backlog", 648, 2000, 150)
NEARLY = 0.95  # of all rows
PERIOD = 0.05  # s between two samples
SETTLE = 30  # s that the consumer group may take

SAMPLE = f"""
SELECT extract(epoch FROM clock_timestamp()), coalesce(a.next_offset, 0), coalesce(b.next_offset, 0)
FROM data.consumer_offsets a, data.consumer_offsets b
WHERE a.topic = '{TOPIC}' AND b.topic = '{TOPIC}'
  AND a.partition = {PARTITIONS[0]} AND b.partition = {PARTITIONS[1]}
\\watch {PERIOD}
"""
OWNERS = f"""
SELECT count(*), count(DISTINCT o.backend_pid) FROM data.consumer_offsets o
JOIN pg_stat_activity a ON a.pid = o.backend_pid
WHERE o.topic = '{TOPIC}' AND o.partition IN {PARTITIONS};
"""
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database();"


class _Sampler:
    """Offsets of both partitions while the block runs: [(time, first, second)]."""

    def __init__(self, stack):
        self._psql = stack.psql("owner")
        self.samples = []

    def __enter__(self):
        self._psql.stdin.write(SAMPLE)
        self._psql.stdin.close()
        self._psql.stdin = None
        return self

    def __exit__(self, *_):
        self._psql.terminate()
        out, _ = self._psql.communicate()
        rows = [line.split("\t") for line in out.splitlines() if line.count("\t") == 2]
        self.samples = [(float(at), int(first), int(second)) for at, first, second in rows]


def _rate(samples, workers, since):
    """Rows per second from `since` until one of two workers has nothing left, or one has nearly done."""
    ends = samples[-1][1:]
    enough = sum(ends) - (1 - NEARLY) * (sum(ends) - sum(samples[0][1:]))
    busy = [
        (at, sum(offsets))
        for at, *offsets in samples
        if at >= since
        and sum(offsets) <= enough
        and (workers == 1 or all(now < end for now, end in zip(offsets, ends, strict=True)))
    ]
    if len(busy) < 5:
        raise BenchError("the workers were not at work together for long enough")
    (start, first), (end, last) = busy[0], busy[-1]
    return (last - first) / (end - start)


def _start_worker(stack, workers):
    """And waits until the two partitions have as many owners."""
    stack.start(
        "worker",
        TIDEGATE_WORKER_WORKER_THREADS=str(workers),
        TIDEGATE_WORKER_BATCH_MAX_ROWS=str(TRAFFIC.batch),
        TIDEGATE_WORKER_MAINTENANCE_INTERVAL="1h",
    )
    deadline = time.monotonic() + SETTLE
    while stack.sql(OWNERS)[0] != ["2", str(workers)]:
        if time.monotonic() > deadline:
            raise BenchError(f"the two partitions did not get {workers} owners")
        time.sleep(0.2)


@contextmanager
def _stopped(pid):
    """Shorter than a session of the consumer group."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _drain(stack, workers):
    rows = max(stack.size(ROWS), ROWS_LEAST)
    empty(stack)
    _start_worker(stack, workers)
    with _Sampler(stack) as sampler:
        with _stopped(stack.pid("worker")):
            running = [filling(stack, partition, rows, TRAFFIC.step_ms) for partition in PARTITIONS]
            for process in running:
                finish(process)
        since = time.time()
        stack.settle(FILL)
        time.sleep(2 * PERIOD)
    stack.stop("worker")
    return _rate(sampler.samples, workers, since)


def _round(stack):
    one = _drain(stack, 1)
    raw = raw_insert(stack)["raw_rate"]
    two = _drain(stack, 2)
    return {"one": one, "two": two, "raw": raw, "ratio": two / one}


def _deadlocks(stack):
    time.sleep(1.5)  # backends report what they counted once a second
    return int(stack.sql(DEADLOCKS)[0][0])


def measure(stack):
    """Called with the worker stopped and no backlog; leaves it so."""
    say(f"{stack.engine}: two workers")
    before = _deadlocks(stack)
    had, others = rounds(stack, lambda: _round(stack))
    value = {figure: middle(had, figure) for figure in had[0]}
    value["deadlocks"] = _deadlocks(stack) - before
    detail = f"two {value['two']:,.0f} rows/s, one {value['one']:,.0f} rows/s, the same rows"
    yield Result(
        name="two workers, overlapping keys",
        engine=stack.engine,
        unit="× one",
        ours=value["ratio"],
        bar=1.5,
        at_most=False,
        raw=f"raw deduplicating insert, one connection {value['raw']:,.0f} rows/s",
        detail=detail,
        others=others,
        figures=value,
    )
    yield Result(
        name="two workers, deadlocks",
        engine=stack.engine,
        unit="",
        ours=value["deadlocks"],
        bar=0,
        raw="by pg_stat_database",
        figures=value,
    )
