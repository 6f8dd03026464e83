"""Events through gateway and ingestion: one by one, and in batches of 1,000.

What counts is the CPU time of these two processes together. The worker keeps running and storing
meanwhile, as it would; its time is reported, not counted. Single events are sent over 128 connections,
which the bar is for, and over 32: with few of them each event finds its process asleep, and what is
measured is mostly the kernel's work of waking it.
"""

from bench.procs import cpu_seconds
from bench.result import Result, middle, rounds, say
from bench.stack import BenchError, finish

CONNECTIONS = 32
CONNECTIONS_MANY = 128
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


def hello(stack):
    """http_hello under the same load: h2o's own limit."""
    port = stack.base + PORT_HELLO
    server = stack.tool_start("http_hello", str(port))
    stack.wait_for_port(port, server)
    start = cpu_seconds(server.pid)
    had = finish(stack.load(f"--load.connections={CONNECTIONS}", "--load.seconds=2s", target=f"127.0.0.1:{port}"))
    spent = cpu_seconds(server.pid) - start
    server.terminate()
    server.communicate()
    return {"hello_us": spent / had["requests"] * 1e6, "hello_rps": had["requests"] / had["seconds"]}


def _singles(stack, connections):
    had, spent = _load(stack, f"--load.connections={connections}", "--load.seconds=3s")
    return {
        "gateway_us": spent["gateway"] / had["events"] * 1e6,
        "ingestion_us": spent["ingestion"] / had["events"] * 1e6,
        "both_us": (spent["gateway"] + spent["ingestion"]) / had["events"] * 1e6,
        "worker_us": spent["worker"] / had["events"] * 1e6,
        "rps": had["requests"] / had["seconds"],
        "p50_ms": had["p50_ms"],
        "p99_ms": had["p99_ms"],
    }


def _describe(value):
    return (
        f"gateway {value['gateway_us']:.1f} + ingestion {value['ingestion_us']:.1f} µs; {value['rps']:,.0f}/s, "
        f"p50 {value['p50_ms']:.1f} ms, p99 {value['p99_ms']:.1f} ms; worker beside it {value['worker_us']:.1f} µs"
    )


def single(stack):
    def once():
        few, many = _singles(stack, CONNECTIONS), _singles(stack, CONNECTIONS_MANY)
        return (
            hello(stack)
            | {f"few_{name}": figure for name, figure in few.items()}
            | {f"many_{name}": figure for name, figure in many.items()}
        )

    say("single POST")
    _load(stack, f"--load.connections={CONNECTIONS}", "--load.seconds=1s")  # warm
    had, others = rounds(stack, once)
    value = {name: middle(had, name) for name in had[0]}
    for prefix, connections in (("few_", CONNECTIONS), ("many_", CONNECTIONS_MANY)):
        part = {name.removeprefix(prefix): figure for name, figure in value.items() if name.startswith(prefix)}
        yield Result(
            name=f"single POST, {connections} connections",
            unit="µs CPU",
            ours=part["both_us"],
            bar=40 if connections == CONNECTIONS_MANY else None,
            raw=f"h2o hello world {value['hello_us']:.1f} µs, {value['hello_rps']:,.0f}/s",
            detail=_describe(part),
            others=others,
            figures=part,
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

    say("batches")
    raw()  # makes the topic
    had, others = rounds(stack, once)
    value = {name: middle(had, name) for name in had[0]}
    yield Result(
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
