"""Events through gateway and ingestion: one by one, and in batches of 1,000.

What counts is the CPU time of these two processes together. The worker keeps running and storing
meanwhile, as it would; its time is reported, not counted.
"""

import time

from bench.procs import cpu_seconds
from bench.result import Result, middle, rounds
from bench.stack import BenchError, finish

CONNECTIONS = 32
BATCH = 1000
BATCH_CONNECTIONS = 4  # so that as many records are in flight as raw_produce is given
PORT_HELLO = 50  # above the stack's base


def _load(stack, *words):
    """Runs http_load against the gateway; its figures and the CPU seconds of each service."""
    names = [name for name in ("gateway", "ingestion", "worker") if stack.runs(name)]
    before = {name: cpu_seconds(stack.pid(name)) for name in names}
    had = finish(stack.load(*words))
    spent = {name: cpu_seconds(stack.pid(name)) - start for name, start in before.items()}
    if had["errors"] > 0 or had["events"] == 0:
        raise BenchError(f"{had['errors']} of {had['requests']} requests failed, the last with {had['bad_code']}")
    return had, spent


def _hello(stack):
    """http_hello under the same load: h2o's own limit."""
    port = stack.base + PORT_HELLO
    server = stack.tool_start("http_hello", str(port))
    time.sleep(0.2)
    if server.poll() is not None:
        raise BenchError(f"http_hello: {server.stderr.read().strip()}")
    start = cpu_seconds(server.pid)
    had = finish(stack.load(f"--load.connections={CONNECTIONS}", "--load.seconds=2s", target=f"127.0.0.1:{port}"))
    spent = cpu_seconds(server.pid) - start
    server.terminate()
    server.communicate()
    return {"hello_us": spent / had["requests"] * 1e6, "hello_rps": had["requests"] / had["seconds"]}


def single(stack):
    def once():
        figures = _hello(stack)
        had, spent = _load(stack, f"--load.connections={CONNECTIONS}", "--load.seconds=4s")
        return figures | {
            "gateway_us": spent["gateway"] / had["events"] * 1e6,
            "ingestion_us": spent["ingestion"] / had["events"] * 1e6,
            "both_us": (spent["gateway"] + spent["ingestion"]) / had["events"] * 1e6,
            "worker_us": spent["worker"] / had["events"] * 1e6,
            "rps": had["requests"] / had["seconds"],
            "p50_ms": had["p50_ms"],
            "p99_ms": had["p99_ms"],
        }

    _load(stack, f"--load.connections={CONNECTIONS}", "--load.seconds=1s")  # warm
    had, others = rounds(stack, once)
    value = {name: middle(had, name) for name in had[0]}
    return Result(
        name="single POST, gateway + ingestion",
        unit="µs CPU",
        ours=value["both_us"],
        bar=40,
        raw=f"h2o hello world {value['hello_us']:.1f} µs, {value['hello_rps']:,.0f}/s",
        detail=f"gateway {value['gateway_us']:.1f}, ingestion {value['ingestion_us']:.1f} µs; "
        f"{value['rps']:,.0f}/s, p50 {value['p50_ms']:.1f} ms, p99 {value['p99_ms']:.1f} ms at "
        f"{CONNECTIONS} connections; worker beside it {value['worker_us']:.1f} µs",
        others=others,
        figures=value,
    )


def batches(stack):
    """Called with the worker stopped: raw_produce's records have no reader either."""

    def raw():
        return stack.tool(
            "raw_produce",
            f"--kafka.brokers={stack.env['TIDEGATE_KAFKA']}",
            "--raw.create=true",
            "--raw.count=200000",
            f"--raw.in_flight={BATCH * BATCH_CONNECTIONS}",
        )

    def once():
        limit = raw()
        had, spent = _load(
            stack,
            f"--load.batch={BATCH}",
            f"--load.connections={BATCH_CONNECTIONS}",
            "--load.seconds=2s",
        )
        both = spent["gateway"] + spent["ingestion"]
        return {
            "ours": had["events"] / both,
            "raw": limit["events"] / limit["cpu_seconds"],
            "ratio": 100 * had["events"] / both * limit["cpu_seconds"] / limit["events"],
            "events_per_second": had["events"] / had["seconds"],
            "raw_per_second": limit["events"] / limit["seconds"],
        }

    raw()  # makes the topic
    had, others = rounds(stack, once)
    value = {name: middle(had, name) for name in had[0]}
    return Result(
        name=f"batches of {BATCH:,}",
        unit="% of raw",
        ours=value["ratio"],
        bar=40,
        at_most=False,
        raw=f"librdkafka alone {value['raw']:,.0f} events/CPU-s",
        detail=f"{value['ours']:,.0f} events/CPU-s; {value['events_per_second']:,.0f} events/s "
        f"(raw {value['raw_per_second']:,.0f}) at {BATCH_CONNECTIONS} connections",
        others=others,
        figures=value,
    )
