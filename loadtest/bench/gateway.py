"""The gateway's own cost: beside nginx and HAProxy doing the same, and by the number of keys that it knows.

All stand before the same stub, which answers 200 bytes, and are asked by the same tool with 1,000 keys of 100
tenants in turn. Proxies run on one processor, the stub and the tool on the other, so that each has the same conditions
and is busy; over a single connection all are on one, or what is measured is how an idle processor wakes up. Ours has key, limit (leased from Redis), breaker, latency limit and fair queue in force, as it is
delivered; single events travel alone here, as nginx would send them, and once more in bundles, told beside it.
"""

import contextlib
import hashlib
import os
import zlib
from statistics import median

from bench import directory, proxies
from bench.instance import Gateway, Stub
from bench.post import PORT_HELLO
from bench.procs import cpu_seconds, rss_mib
from bench.result import Result, middle, rounds, say
from bench.stack import BenchError, finish

PORT, PORT_FEW, PORT_NGINX, PORT_HAPROXY, PORT_STUB = 54, 55, 56, 57, 58  # above the stack's base
CONNECTIONS = 64
GET = "/v1/metrics?n={n}"
POST = "/v1/events/order"
BODY = 250  # bytes
RATE = 8000  # of the open loop, per second: all of them can do that on one processor
TENANTS, KEYS, FEW = 100, 1000, 10
P50_1, RSS = 110, 16  # the bars: µs, MiB
MORE = 3  # %
PAIRS = 9  # rounds of few keys and many

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _digits62(number, count):
    text = ""
    for _ in range(count):
        number, digit = divmod(number, 62)
        text = DIGITS[digit] + text
    return text


def _key(number):
    """A key in the form that common/auth/key.h describes, always the same for a number."""
    chance = int.from_bytes(hashlib.sha512(f"bench {number}".encode()).digest(), "big")
    text = f"tg_{_digits62(chance, 12)}_{_digits62(chance >> 128, 32)}"
    return text + _digits62(zlib.crc32(text.encode()), 6)


class Keys:
    """1,000 keys of 100 tenants without a plan of their own, and the file of them that the load tools read."""

    def __init__(self, stack):
        self._stack = stack
        self.tenants = {_key(n): f"bench-gate-{n % TENANTS}" for n in range(KEYS)}
        self.path = self.write("keys", self.tenants)
        self.few = self.write("keys-few", list(self.tenants)[:FEW])

    def write(self, name, keys):
        path = self._stack.run / name
        path.write_text("".join(f"{key}\n" for key in keys), encoding="ascii")
        return path

    def _run(self, text):
        self._stack.sql("\n".join((directory.QUIETLY, text, directory.LOUDLY, directory.TELL)))

    def put(self, count=KEYS):
        """The first `count` of them are there, and no others."""
        names = ",".join(f"('{name}')" for name in sorted(set(self.tenants.values())))
        rows = ",".join(
            f"('{key[3:15]}','{tenant}',sha256('{key}'),'{{ingest,read}}'::text[])"
            for key, tenant in list(self.tenants.items())[:count]
        )
        self._run(
            "DELETE FROM control.api_keys WHERE tenant_id LIKE 'bench-gate-%';"
            f"INSERT INTO control.tenants (id) VALUES {names} ON CONFLICT DO NOTHING;"
            f"INSERT INTO control.api_keys (id, tenant_id, secret_sha256, scopes) VALUES {rows};"
        )

    def remove(self):
        self._run(
            "DELETE FROM control.api_keys WHERE tenant_id LIKE 'bench-gate-%';"
            "DELETE FROM control.tenants WHERE id LIKE 'bench-gate-%';"
        )


@contextlib.contextmanager
def keys_of(stack):
    keys = Keys(stack)
    keys.put()
    try:
        yield keys
    finally:
        keys.remove()


def _processor(number):
    processors = sorted(os.sched_getaffinity(0))
    return processors[number % len(processors)]


def _core(number):
    """Words that keep a program on one processor."""
    return ("/usr/bin/taskset", "-c", str(_processor(number)))


@contextlib.contextmanager
def _together(stub):
    """The stub on the proxies' processor, for a while."""
    os.sched_setaffinity(stub.pid, {_processor(0)})
    try:
        yield
    finally:
        os.sched_setaffinity(stub.pid, {_processor(1)})


def upstreams(*stubs):
    """Tells a gateway that these are all of its services."""
    targets = ",".join(stub.target for stub in stubs)
    return [f"--{service}.instances={targets}" for service in ("query", "ingestion", "registry")]


# --- beside nginx and HAProxy ---


def _load(stack, side, keys, *words, tool="http_load", core=1):
    """The tool's figures, and the CPU µs per request of a side."""
    before = sum(cpu_seconds(pid) for pid in side.pids)
    had = finish(
        stack.tool_start(
            *_core(core), stack.bin / tool, f"--load.target={side.target}", f"--load.keys={keys}", *words
        )
    )
    spent = sum(cpu_seconds(pid) for pid in side.pids) - before
    if tool == "http_open":
        (phase,) = had["phases"]
        had |= {name.removeprefix("ok_"): value for name, value in phase.items()}
        had["errors"] = phase["sent"] - phase["ok"]
    if had["errors"] > 0 or had["requests"] == 0:
        raise BenchError(f"{had['errors']} of {had['requests']} requests failed, the last with {had['bad_code']}")
    return had | {"us": spent / had["requests"] * 1e6}


def _ms(stack, ms):
    return stack.size(ms)


def _in_turn(sides, times, ask):
    """What `ask` gives, the middle of `times` for each side and figure, and of its ratios to nginx's figure in the same
    turn. The sides take short turns, each time another one first, so that a slow second of the machine's is not one
    side's."""
    had = {name: [] for name in sides}
    names = list(sides)
    for turn in range(times):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            had[name].append(ask(sides[name]))
    pairs = {name: list(zip(turns, had["nginx"], strict=True)) for name, turns in had.items()}
    return {
        name: {figure: middle(turns, figure) for figure in turns[0]}
        | {f"{figure}_ratio": median(own[figure] / other[figure] for own, other in pairs[name]) for figure in turns[0]}
        for name, turns in had.items()
    }


def _costs(stack, sides, stub, keys):
    """Each kind of request as fast as it goes; then GETs at the same rate for all; then over one connection."""
    get, post = [f"--load.get={GET}"], [f"--load.path={POST}", f"--load.bytes={BODY}"]
    getting = {name: side for name, side in sides.items() if name != "bundled"}
    phase = [f"--load.phases={RATE}:{_ms(stack, 1000)}", "--load.poisson=true"]
    many, one = f"--load.connections={CONNECTIONS}", "--load.connections=1"

    def closed(kind, words):
        def ask(side):
            had = _load(stack, side, keys, *words, many, f"--load.seconds={_ms(stack, 400)}ms")
            return {f"{kind}_us": had["us"], f"{kind}_rps": had["requests"] / had["seconds"]}

        return ask

    def opened(side):
        had = _load(stack, side, keys, *get, *phase, many, tool="http_open")
        return {"open_us": had["us"], "open_p50_ms": had["p50_ms"], "open_p99_ms": had["p99_ms"]}

    def alone(side):
        had = _load(stack, side, keys, *get, one, f"--load.seconds={_ms(stack, 400)}ms", core=0)
        return {"one_p50_us": had["p50_ms"] * 1000, "one_us": had["us"]}

    had = [
        _in_turn(getting, 16, closed("get", get)),
        _in_turn(sides, 12, closed("post", post)),
        _in_turn(getting, 24, opened),
    ]
    with _together(stub):
        had.append(_in_turn(getting, 3, alone))
    return {
        f"{name}_{figure}": value for part in had for name, own in part.items() for figure, value in own.items()
    }


class _Hello:
    """h2o alone, which answers itself: the floor."""

    def __init__(self, stack):
        self.target = f"127.0.0.1:{stack.base + PORT_HELLO}"
        self.process = stack.tool_start(*_core(0), stack.bin / "http_hello", str(stack.base + PORT_HELLO))
        self.pids = [self.process.pid]
        stack.wait_for_port(stack.base + PORT_HELLO, self.process)


def _sides(stack, stub, keys, open_here):
    """Each side by its name, running."""
    core = _core(0)
    ours = (stack, PORT, *upstreams(stub), "--bundle.inflight=0")
    bundled = (stack, PORT_FEW, *upstreams(stub))
    hello = _Hello(stack)
    open_here.callback(hello.process.kill)
    return {
        "ours": open_here.enter_context(Gateway(*ours, before=core)),
        "nginx": open_here.enter_context(proxies.nginx(stack, PORT_NGINX, keys.tenants, stub.port, core)),
        "haproxy": open_here.enter_context(proxies.haproxy(stack, PORT_HAPROXY, keys.tenants, stub.port, core)),
        "bundled": open_here.enter_context(Gateway(*bundled, before=core)),
        "hello": hello,
    }


def _proxy_results(value, others, memory):
    def beside(figure, unit, digits=1):
        return f"nginx {value[f'nginx_{figure}']:.{digits}f}, HAProxy {value[f'haproxy_{figure}']:.{digits}f} {unit}"

    for kind, side in (("get", "ours"), ("post", "bundled")):
        alone = f"; each alone {value['ours_post_us']:.1f} µs, × {value['ours_post_us_ratio']:.2f}"
        yield Result(
            name=f"proxied {kind.upper()}, {CONNECTIONS} connections",
            unit="× nginx",
            ours=value[f"{side}_{kind}_us_ratio"],
            bar=1,
            raw=f"{value[f'{side}_{kind}_us']:.1f} µs CPU; {beside(f'{kind}_us', 'µs')}; "
            f"h2o hello world {value[f'hello_{kind}_us']:.1f} µs",
            detail=f"{value[f'{side}_{kind}_rps']:,.0f}/s of one processor, nginx {value[f'nginx_{kind}_rps']:,.0f}, "
            f"HAProxy {value[f'haproxy_{kind}_rps']:,.0f}{alone if kind == 'post' else ''}",
            others=others,
            figures=value,
        )
    yield Result(  # of medians: a second's tail has nothing to do with that of the second before
        name=f"… p99 at {RATE:,}/s",
        unit="× nginx",
        ours=value["ours_open_p99_ms"] / value["nginx_open_p99_ms"],
        bar=1,
        raw=f"{value['ours_open_p99_ms']:.2f} ms; {beside('open_p99_ms', 'ms', 2)}",
        detail=f"CPU at that rate {value['ours_open_us']:.1f} µs; {beside('open_us', 'µs')}",
        others=others,
    )
    yield Result(
        name="… 1 connection, p50",
        unit="µs",
        ours=value["ours_one_p50_us"],
        bar=P50_1,
        raw=f"nginx {value['nginx_one_p50_us']:.0f}, HAProxy {value['haproxy_one_p50_us']:.0f} µs",
        others=others,
    )
    yield Result(
        name=f"… memory with {KEYS:,} keys",
        unit="MiB",
        ours=memory["ours"],
        bar=RSS,
        raw=f"nginx {memory['nginx']:.1f}, HAProxy {memory['haproxy']:.1f} MiB",
    )


def proxied(stack):
    say("gateway: beside nginx and HAProxy")
    proxies.install()
    with keys_of(stack) as keys, contextlib.ExitStack() as running:
        stub = running.enter_context(Stub(stack, PORT_STUB, before=_core(1)))
        sides = _sides(stack, stub, keys, running)

        for side in sides.values():
            _load(stack, side, keys.path, f"--load.get={GET}", "--load.seconds=300ms")  # makes its connections
        had, others = rounds(stack, lambda: _costs(stack, sides, stub, keys.path))
        memory = {name: sum(rss_mib(pid) for pid in side.pids) for name, side in sides.items()}
        value = {name: middle(had, name) for name in had[0]}
        yield from _proxy_results(value, others, memory)


# --- by the number of keys ---


def by_keys(stack):
    """Few keys and many, in turn. The gateway with few reads the tables once, before the others are there."""
    say(f"gateway: {FEW} keys and {directory.KEYS:,}")
    with keys_of(stack) as keys, contextlib.ExitStack() as running:
        stub = running.enter_context(Stub(stack, PORT_STUB, before=_core(1)))
        keys.put(FEW)
        words = (*upstreams(stub), "--watch.poll=60s")
        few = running.enter_context(Gateway(stack, PORT_FEW, *words, before=_core(0)))
        keys.put()
        running.callback(stack.sql, directory.EMPTY)
        stack.sql(directory.FILL)
        many = running.enter_context(Gateway(stack, PORT, *words, before=_core(0)))
        kind = (f"--load.get={GET}", f"--load.connections={CONNECTIONS}", f"--load.seconds={_ms(stack, 700)}ms")

        asked = {"few": (few, keys.few), "many": (many, keys.few), "all": (many, keys.path)}

        def once():
            had = {name: [] for name in asked}
            for n in range(1 if stack.quick else PAIRS):
                for name in list(asked)[:: 1 if n % 2 == 0 else -1]:  # who comes first matters to the machine
                    side, path = asked[name]
                    had[name].append(_load(stack, side, path, *kind)["us"])
            return {name: median(us) for name, us in had.items()} | {
                f"{name}_more": 100 * median(b / a for a, b in zip(had["few"], had[name], strict=True)) - 100
                for name in ("many", "all")
            }

        for side, path in asked.values():
            _load(stack, side, path, *kind)
        had, others = rounds(stack, once, 1)
        (value,) = had
        yield Result(
            name=f"… {directory.KEYS:,} keys instead of {FEW}",
            unit="% more",
            ours=value["many_more"],
            bar=MORE,
            raw=f"CPU {value['many']:.1f} µs, {value['few']:.1f}",
            detail=f"the same {FEW} in use; with {KEYS:,} of them in use {value['all_more']:+.1f} %: {value['all']:.1f} µs;"
            f" medians of {PAIRS}",
            others=others,
            figures=value,
        )
