"""One of two instances of a service stops without a word, and comes back; and a service that says for ten seconds
that it cannot.

Frozen is SIGSTOP: connections stay open, requests are taken, nothing answers. Reads go on all the time, 200 per
second, with the gateway's own deadline.
"""

import signal
import time

from bench.gateway import GET, PORT, PORT_HAPROXY, PORT_STUB, keys_of, upstreams
from bench.instance import Gateway, Stub
from bench.result import Result, say
from bench.stack import finish

RATE = 200
FAILURES, CLOSED_S = 5, 35  # the bars
REFUSING_S = 10
BEFORE_S, FROZEN_S = 2, 10
WAIT_S = 60  # for the breaker to close, at most


def _reads(stack, gateway, keys, seconds):
    return stack.tool_start(
        "http_open",
        f"--load.target={gateway.target}",
        f"--load.keys={keys}",
        f"--load.get={GET}",
        f"--load.phases={RATE}:{int(seconds * 1000)}",
        "--load.connections=512",
        "--load.poisson=true",
    )


def _open(gateway):
    return gateway.metric("tidegate_gateway_breakers_open", upstream="query")


def _failed(gateway):
    return gateway.metric("tidegate_gateway_upstream_total", upstream="query", result="timeout")


def _until_open(gateway, seconds):
    """Deadlines that the clients had seen fail when the breaker was open; None if it never was."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if _open(gateway) > 0:
            return _failed(gateway)
        time.sleep(0.02)
    return None


def _until_closed(stack, gateway, keys):
    """Seconds, under the same load."""
    start = time.monotonic()
    while _open(gateway) > 0 and time.monotonic() < start + WAIT_S:
        finish(_reads(stack, gateway, keys, 0.5))
    return time.monotonic() - start


def _freeze(stack, gateway, keys, victim):
    """Load before, while and after; what the clients saw."""
    load = _reads(stack, gateway, keys, BEFORE_S + FROZEN_S)
    time.sleep(BEFORE_S)
    start = time.monotonic()
    victim.signal(signal.SIGSTOP)
    try:
        failed = _until_open(gateway, FROZEN_S)
        opened_s = time.monotonic() - start
        (phase,) = finish(load)["phases"]
    finally:
        victim.signal(signal.SIGCONT)
    return phase | {"failed": failed, "opened_s": opened_s, "closed_s": _until_closed(stack, gateway, keys)}


def frozen(stack):
    say("gateway: an instance is frozen")
    with keys_of(stack) as keys, Stub(stack, PORT_STUB) as well, Stub(stack, PORT_HAPROXY) as victim:
        with Gateway(stack, PORT, *upstreams(well, victim)) as gateway:
            gateway.wait(next(iter(keys.tenants)))
            had = _freeze(stack, gateway, keys.path, victim)
    errors = had["sent"] - had["ok"]
    if had["failed"] is None:
        detail = f"its breaker did not open; {had['late']} late"
    else:
        detail = f"open after {had['opened_s']:.2f} s; longest read {had['ok_max_ms']:.0f} ms"
    yield Result(
        name="an instance frozen, reads that failed",
        unit="",
        ours=errors,
        bar=0,
        detail=f"of {had['sent']:,}, another instance beside it; {detail}",
        figures=had,
    )
    yield Result(
        name="… failed deadlines until its breaker opens",
        unit="",
        ours=float("inf") if had["failed"] is None else had["failed"],
        bar=FAILURES,
    )
    yield Result(name="… closed again by itself after", unit="s", ours=had["closed_s"], bar=CLOSED_S)


def _refuse(stack, gateway, key, stub):
    """How often the breaker was seen open while the service said 503, and how soon it served after."""
    seen = 0
    end = time.monotonic() + stack.size(REFUSING_S)
    stub.signal(signal.SIGUSR1)
    load = _reads(stack, gateway, stack.run / "keys", stack.size(REFUSING_S))
    while time.monotonic() < end:
        seen += _open(gateway) > 0
        time.sleep(0.05)
    (phase,) = finish(load)["phases"]
    seen += _open(gateway) > 0
    stub.signal(signal.SIGUSR2)
    start = time.monotonic()
    while gateway.status(key) != 200 and time.monotonic() < start + WAIT_S:
        time.sleep(0.001)
    return {"open": seen, "served_ms": (time.monotonic() - start) * 1000, "refused": phase["refused"]}


def refusing(stack):
    say("gateway: a service that says 503")
    with keys_of(stack) as keys, Stub(stack, PORT_STUB) as stub:
        with Gateway(stack, PORT, *upstreams(stub)) as gateway:
            key = next(iter(keys.tenants))
            gateway.wait(key)
            had = _refuse(stack, gateway, key, stub)
    yield Result(
        name=f"503 with Retry-After for {REFUSING_S} s, breaker seen open",
        unit="times",
        ours=had["open"],
        bar=0,
        detail=f"{had['refused']:,} reads refused; serves {had['served_ms']:.0f} ms after",
        figures=had,
    )
