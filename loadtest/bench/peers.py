"""tidegate beside what people run today: loadtest/peers, installed into build/peers when first needed.

The same load from the same tool on the same machine, theirs and ours in turn. What is compared is the CPU
time that all processes of each side took per request: the machine that one has to pay for. Kafka,
Redis and the load are outside of it, alike on both sides; Kafka's share is told.
"""

import shlex
import subprocess
import urllib.request

from bench import drain, proxies, query
from bench.post import PORT_HELLO
from bench.procs import cpu_seconds, family
from bench.proxies import Peer
from bench.result import Result, middle, rounds, say
from bench.stack import TENANT, TOP, BenchError, finish

HERE = TOP / "loadtest/peers"
PROGRAMS = TOP / "build/peers"
PORT_PEER = 52  # above the stack's base
TOPIC = "bench.peer"
TOPIC_STORE = "bench.peer.store"
QUESTION = "/v1/kpi/minute?currency=EUR"
READ_ROWS = 100_000
POST_CONNECTIONS = 128
GET_CONNECTIONS = 32
BAR = 3  # times FastAPI's requests per CPU second

TABLE = """
DROP SCHEMA IF EXISTS bench CASCADE;
CREATE SCHEMA bench;
CREATE TABLE bench.peer_events (
    tenant_id text NOT NULL, event_id uuid NOT NULL, occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL, kind text NOT NULL, entity text NOT NULL, user_id text,
    value double precision, payload jsonb, PRIMARY KEY (tenant_id, event_id, occurred_at));
"""


def _install():
    done = subprocess.run([str(HERE / "install")], check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise BenchError("the peers could not be installed")


def _cpu(pids):
    return sum(cpu_seconds(pid) for pid in family(pids))


def _load(stack, pids, target, *words):
    """Runs http_load; requests per second, latency, and CPU µs per request of `pids` and Kafka."""
    kafka = stack.pid("kafka")
    before, kafka_before = _cpu(pids), cpu_seconds(kafka)
    had = finish(stack.load(*words, target=target))
    if had["errors"] > 0 or had["requests"] == 0:
        raise BenchError(f"{had['errors']} of {had['requests']} requests failed, the last with {had['bad_code']}")
    return {
        "us": (_cpu(pids) - before) / had["requests"] * 1e6,
        "kafka_us": (cpu_seconds(kafka) - kafka_before) / had["requests"] * 1e6,
        "rps": had["requests"] / had["seconds"],
        "p50_ms": had["p50_ms"],
        "p99_ms": had["p99_ms"],
        "bytes": had["answer_bytes"],
    }


def _fastapi(stack, module, **environ):
    words = (
        PROGRAMS / "venv/bin/uvicorn",
        f"{module}:app",
        f"--app-dir={HERE}",
        f"--port={stack.base + PORT_PEER}",
        "--loop=uvloop",
        "--http=httptools",
        "--no-access-log",
        "--log-level=warning",
    )
    return Peer(stack, PORT_PEER, words, PEER_KEY=stack.env["TIDEGATE_KEY"], **environ)


def _compare(stack, peer, names, words):
    """Rounds of theirs and ours under the same load: (figures of each, others)."""
    target = stack.env["TIDEGATE_URL"].partition("//")[2]

    def once():
        theirs = _load(stack, peer.pids, peer.target, *words)
        ours = _load(stack, [stack.pid(name) for name in names], target, *words)
        return (
            {f"theirs_{name}": figure for name, figure in theirs.items()}
            | {f"ours_{name}": figure for name, figure in ours.items()}
            | {"ratio": theirs["us"] / ours["us"]}
        )

    warm = [word for word in words if not word.startswith("--load.seconds")] + ["--load.seconds=1s"]
    for where in (peer.target, target):
        finish(stack.load(*warm, target=where))
    had, others = rounds(stack, once)
    return {name: middle(had, name) for name in had[0]}, others


def _result(name, bar, value, others, peer, ours):
    sides = "; ".join(
        f"{label} {value[f'{side}_us']:.1f} µs, {value[f'{side}_rps']:,.0f}/s, p50 {value[f'{side}_p50_ms']:.1f}, "
        f"p99 {value[f'{side}_p99_ms']:.1f} ms, Kafka beside it {value[f'{side}_kafka_us']:.1f} µs"
        for side, label in (("ours", ours), ("theirs", peer))
    )
    return Result(
        name=name,
        unit="× theirs",
        ours=value["ratio"],
        bar=bar,
        at_most=False,
        raw="requests per CPU second",
        detail=sides,
        others=others,
        figures=value,
    )


def _post(stack):
    stack.tool(
        "raw_produce",
        f"--kafka.brokers={stack.env['TIDEGATE_KAFKA']}",
        f"--raw.topic={TOPIC}",
        "--raw.create=true",
        "--raw.count=1",
    )
    with _fastapi(stack, "ingest", PEER_KAFKA=stack.env["TIDEGATE_KAFKA"], PEER_TOPIC=TOPIC) as peer:
        words = (f"--load.connections={POST_CONNECTIONS}", "--load.seconds=3s")
        value, others = _compare(stack, peer, ("gateway", "ingestion"), words)
    yield _result("POST, beside FastAPI + aiokafka", BAR, value, others, "FastAPI", "gateway + ingestion")


def _get(stack):
    query.fill(stack, stack.size(READ_ROWS))
    request = urllib.request.Request(
        stack.env["TIDEGATE_URL"] + QUESTION, headers={"X-API-Key": stack.env["TIDEGATE_KEY"]}
    )
    with urllib.request.urlopen(request) as answer:
        body = answer.read()
    host, _, port = stack.env["TIDEGATE_REDIS"].rpartition(":")
    command = ["redis-cli", "-h", host, "-p", port, "-x", "SET", f"peer:{TENANT}:kpi:EUR:2000"]
    subprocess.run(command, input=body, check=True, stdout=subprocess.DEVNULL)
    with _fastapi(stack, "read", PEER_REDIS=f"redis://{stack.env['TIDEGATE_REDIS']}") as peer:
        words = (f"--load.get={QUESTION}", f"--load.connections={GET_CONNECTIONS}", "--load.seconds=3s")
        value, others = _compare(stack, peer, ("gateway", "query"), words)
    yield _result("GET cached, beside FastAPI + redis", BAR, value, others, "FastAPI", "gateway + query")


def _proxy(stack):
    """Both gateways before http_hello; ours is told that this is the query service."""
    port = stack.base + PORT_HELLO
    hello = stack.tool_start("http_hello", str(port))
    stack.wait_for_port(port, hello)
    stack.stop("gateway")
    stack.start("gateway", TIDEGATE_GATEWAY_QUERY_INSTANCES=f"127.0.0.1:{port}")
    try:
        keys = {stack.env["TIDEGATE_KEY"]: TENANT}
        with proxies.nginx(stack, PORT_PEER, keys, port) as peer:
            words = (f"--load.get={QUESTION}", f"--load.connections={GET_CONNECTIONS}", "--load.seconds=3s")
            value, others = _compare(stack, peer, ("gateway",), words)
    finally:
        stack.stop("gateway")
        stack.start("gateway")
        hello.terminate()
        hello.communicate()
    yield _result("proxy, beside nginx", None, value, others, "nginx", "gateway")


def _asyncpg(stack, rows, *words):
    dsn = dict(pair.split("=", 1) for pair in shlex.split(stack.env["TIDEGATE_DSN"]))
    return stack.tool_start(
        PROGRAMS / "venv/bin/python",
        HERE / "store.py",
        *words,
        PEER_KAFKA=stack.env["TIDEGATE_KAFKA"],
        PEER_TOPIC=TOPIC_STORE,
        PEER_ROWS=str(rows),
        PEER_BATCH="2000",
        PEER_DSN=f"postgres://{dsn['user']}:{dsn['password']}@{dsn['host']}:{dsn['port']}/{dsn['dbname']}",
    )


def _store(stack):
    rows = stack.size(drain.ROWS)
    stack.tool(  # one record, where nobody reads it: makes the topic
        "raw_produce",
        f"--kafka.brokers={stack.env['TIDEGATE_KAFKA']}",
        f"--raw.topic={TOPIC_STORE}",
        "--raw.create=true",
        "--raw.partition=5",
        "--raw.count=1",
    )
    _, err = (filling := _asyncpg(stack, rows, "fill")).communicate()
    if filling.returncode != 0:
        raise BenchError(f"store.py fill: {err.strip()}")
    stack.forget_backlog()

    def once():
        ours = drain.compare(stack, drain.TRAFFIC[0])
        stack.sql(TABLE)
        stack.sql("CHECKPOINT;", "postgres")
        theirs = finish(_asyncpg(stack, rows))
        ours_us = ours["worker_us"] + ours["worker_backend_us"]
        client, backend = (theirs[f"{who}_seconds"] / theirs["rows"] * 1e6 for who in ("cpu", "backend"))
        return ours | {
            "theirs_rate": theirs["rows"] / theirs["seconds"],
            "theirs_us": client,
            "theirs_backend_us": backend,
            "peer_ratio": (client + backend) / ours_us,
        }

    had, others = rounds(stack, once)
    value = {name: middle(had, name) for name in had[0]}
    yield Result(
        name="store, beside aiokafka + asyncpg",
        engine=stack.engine,
        unit="× theirs",
        ours=value["peer_ratio"],
        bar=None,
        at_most=False,
        raw="rows per CPU second of client and server; theirs keeps no aggregates",
        detail=f"worker {value['worker_us']:.1f} + backend {value['worker_backend_us']:.1f} µs, "
        f"{value['worker_rate']:,.0f} rows/s; asyncpg {value['theirs_us']:.1f} + {value['theirs_backend_us']:.1f} µs, "
        f"{value['theirs_rate']:,.0f} rows/s",
        others=others,
        figures=value,
    )


def measure(stack):
    """Called with the worker stopped; leaves an empty store and a backlog that is to be forgotten."""
    _install()
    for what, part in (("POST", _post), ("GET", _get), ("proxy", _proxy), ("store", _store)):
        say(f"peers: {what}")
        yield from part(stack)
    drain.empty(stack)
