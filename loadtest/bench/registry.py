"""The schema registry: look-ups by id beside the same server's hello world, new registrations, compatibility
tests, and its memory and start with 10,000 schemas of 500 bytes.

Those schemas are put there by SQL, with ids that no other has; the look-ups ask for 4,000 of them in turn. An
instance of the registry of its own is asked, by an operator, so that its start and its memory are those of one
process that has done nothing else.
"""

import base64
import http.client
import json
import time
from statistics import median, quantiles

from bench.post import hello
from bench.procs import cpu_seconds, rss_mib
from bench.result import Result, middle, rounds, say
from bench.stack import BenchError, finish

PORT = 8  # from the stack's base; the next one is for /ready
SCHEMAS = 10_000
FIRST_ID = 1000  # http_load asks for {n} from 1000 to 4999
CONNECTIONS = 16
NEW = 300

FILL = f"""
INSERT INTO control.schemas (id, context, schema, printed, fingerprint, guid)
SELECT n, '', t, t, sha256(t::bytea), gen_random_uuid()
FROM generate_series({FIRST_ID}, {FIRST_ID + SCHEMAS - 1}) AS n,
     LATERAL (SELECT '{{"type":"record","name":"Bench' || n || '","doc":"' || repeat('x', 420)
                     || '","fields":[{{"name":"a","type":"int"}}]}}') AS s (t);
INSERT INTO control.subjects (context, subject, last_version)
SELECT '', 'bench-' || n, 1 FROM generate_series({FIRST_ID}, {FIRST_ID + SCHEMAS - 1}) AS n;
INSERT INTO control.subject_versions (context, subject, version, schema_id)
SELECT '', 'bench-' || n, 1, n FROM generate_series({FIRST_ID}, {FIRST_ID + SCHEMAS - 1}) AS n;
ANALYZE control.schemas, control.subject_versions, control.subjects;
"""
EMPTY = """
DELETE FROM control.subject_versions WHERE context = '' AND subject LIKE 'bench-%';
DELETE FROM control.subjects WHERE context = '' AND subject LIKE 'bench-%';
DELETE FROM control.schemas s WHERE context = ''
    AND NOT EXISTS (SELECT FROM control.subject_versions v WHERE v.schema_id = s.id);
"""


class Instance:
    """A registry of the benchmark's own on the stack's database."""

    def __init__(self, stack):
        self.stack = stack
        self.port = stack.base + PORT
        password = (stack.run / "secrets/operator").read_text(encoding="ascii").strip()
        self.basic = "Basic " + base64.b64encode(f"operator:{password}".encode()).decode()

    def __enter__(self):
        start = time.monotonic()
        self.process = self.stack.tool_start(
            "tidegate-registry",
            TIDEGATE_CONFIG=str(self.stack.run / "tidegate.ini"),
            TIDEGATE_REGISTRY_HTTP_LISTEN=f"127.0.0.1:{self.port}",
            TIDEGATE_REGISTRY_HTTP_ADMIN_LISTEN=f"127.0.0.1:{self.port + 1}",
            TIDEGATE_REGISTRY_LOG_LEVEL="warn",
        )
        self.stack.wait_for_port(self.port + 1, self.process)
        while self._ready() != 200:
            if time.monotonic() > start + 20:
                raise BenchError("the registry does not get ready")
            time.sleep(0.002)
        self.start_ms = (time.monotonic() - start) * 1000
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port)
        return self

    def __exit__(self, *_):
        self.connection.close()
        self.process.terminate()
        self.process.communicate()

    def _ready(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port + 1)
        connection.request("GET", "/ready")
        code = connection.getresponse().status
        connection.close()
        return code

    def post(self, path, schema):
        """The answer and the ms until it was there."""
        start = time.perf_counter()
        self.connection.request(
            "POST",
            path,
            json.dumps({"schema": json.dumps(schema)}),
            {"Content-Type": "application/vnd.schemaregistry.v1+json", "Authorization": self.basic},
        )
        answer = self.connection.getresponse()
        body = answer.read()
        spent = (time.perf_counter() - start) * 1000
        if answer.status != 200:
            raise BenchError(f"{path}: {answer.status} {body.decode()}")
        return json.loads(body), spent

    def ask(self, path, seconds):
        """http_load's figures for one path, and the CPU per request."""
        before = cpu_seconds(self.process.pid)
        had = finish(
            self.stack.load(
                f"--load.get={path}",
                f"--load.user={self.basic}",
                f"--load.connections={CONNECTIONS}",
                f"--load.seconds={seconds}s",
                target=f"127.0.0.1:{self.port}",
            )
        )
        if had["errors"] > 0 or had["requests"] == 0:
            raise BenchError(f"{path}: {had['errors']} of {had['requests']} failed, the last with {had['bad_code']}")
        spent = cpu_seconds(self.process.pid) - before
        return {"rps": had["requests"] / had["seconds"], "us": spent / had["requests"] * 1e6} | {
            name: had[name] for name in ("p50_ms", "p99_ms")
        }


def _record(name, fields):
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": f"f{n}", "type": "string", "default": ""} for n in range(fields)],
    }


def _new(registry, count):
    """ms of registrations of schemas that nobody has registered before, one after the other."""
    run = time.time_ns()
    return [registry.post(f"/subjects/bench-new-{run}-{n}/versions", _record(f"N{run}_{n}", 8))[1] for n in range(count)]


def _tests(registry, count):
    """ms of compatibility tests with the newest version."""
    run = time.time_ns()
    subject = f"bench-test-{run}"
    registry.post(f"/subjects/{subject}/versions", _record("T", 8))
    path = f"/compatibility/subjects/{subject}/versions/latest"
    return [registry.post(path, _record("T", 9 + n % 50))[1] for n in range(count)]


def _latency(stack, name, bar, ask):
    def once():
        had = ask(stack.size(NEW))
        return {"p50_ms": median(had), "p99_ms": quantiles(had, n=100)[98]}

    had, others = rounds(stack, once)
    value = {figure: middle(had, figure) for figure in had[0]}
    return Result(
        name=name,
        unit="ms",
        ours=value["p50_ms"],
        bar=bar,
        detail=f"p99 {value['p99_ms']:.1f} ms, one after the other over one connection",
        others=others,
        figures=value,
    )


def measure(stack):
    say(f"registry: {SCHEMAS:,} schemas")
    stack.sql(EMPTY)
    stack.sql(FILL)
    try:
        with Instance(stack) as registry:
            yield Result(
                name=f"registry, start to ready with {SCHEMAS:,} schemas",
                unit="ms",
                ours=registry.start_ms,
                bar=200,
                figures={"start_ms": registry.start_ms},
            )
            yield from _by_id(stack, registry)
            yield _latency(stack, "registry, new schema p50", 3, lambda count: _new(registry, count))
            yield _latency(stack, "registry, compatibility test p50", 1, lambda count: _tests(registry, count))
            memory = rss_mib(registry.process.pid)
            yield Result(
                name=f"registry, memory with {SCHEMAS:,} schemas",
                unit="MiB",
                ours=memory,
                bar=24,
                detail="after all of the above",
                figures={"rss_mib": memory},
            )
    finally:
        stack.sql(EMPTY)


def _by_id(stack, registry):
    def once():
        server = registry.ask("/", 2)
        had = registry.ask("/schemas/ids/{n}", 3)
        return had | {f"server_{name}": value for name, value in server.items()} | hello(stack)

    registry.ask("/schemas/ids/{n}", 4)  # warm: 4,000 misses
    had, others = rounds(stack, once)
    value = {name: middle(had, name) for name in had[0]}
    yield Result(
        name="registry, schema by id, share of hello world",
        unit="%",
        ours=value["rps"] / value["server_rps"] * 100,
        bar=80,
        at_most=False,
        raw=f"our server's hello world {value['server_rps']:,.0f}/s, {value['server_us']:.1f} µs CPU; "
        f"h2o's {value['hello_rps']:,.0f}/s, {value['hello_us']:.1f} µs",
        detail=f"{value['rps']:,.0f}/s, {value['us']:.1f} µs CPU, p50 {value['p50_ms']:.2f} ms",
        others=others,
        figures=value,
    )
    yield Result(
        name=f"registry, schema by id p99, {CONNECTIONS} connections",
        unit="ms",
        ours=value["p99_ms"],
        bar=2,
        others=others,
        figures={"p99_ms": value["p99_ms"]},
    )
