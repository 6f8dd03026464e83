"""The gateway before a service that has a capacity: asked for more than it has, by all and by one.

The service is http_stub: 1,000 requests per second in order of arrival, as many as come in its queue. The load is
an open loop, arrivals by chance, latency from when each was to arrive.
"""

import time

from bench.gateway import GET, PORT, PORT_STUB, keys_of, upstreams
from bench.instance import Gateway, Stub
from bench.result import Result, middle, rounds, say
from bench.stack import finish

CAPACITY = 1000
NORMAL = 500  # per second
TIMES = (2, 5)  # what is asked for, of the capacity
GOODPUT = {2: 95, 5: 90}  # the bars: % of the capacity
REFUSAL_MS, RECOVERY_S = 10, 5
OTHERS = 400  # per second, of the quiet tenants together
NOISY, NOISY_TIMES = 100, 10  # the noisy tenant's plan per second, and what it asks for of it
SLOWER, SERVED = 1.5, 99.9
RUNS = 5


def _open(stack, gateway, keys, phases, connections, *words):
    """http_open, started, asking for reads at these rates."""
    text = ",".join(f"{rate}:{ms}" for rate, ms in phases)
    return stack.tool_start(
        "http_open",
        f"--load.target={gateway.target}",
        f"--load.keys={keys}",
        f"--load.get={GET}",
        f"--load.phases={text}",
        f"--load.connections={connections}",
        "--load.poisson=true",
        *words,
    )


def _service(stack, delay="5ms"):
    return Stub(stack, PORT_STUB, f"--stub.capacity={CAPACITY}", f"--stub.delay={delay}")


# --- more than there is ---


def _storm(stack, gateway, keys, times):
    """Normal, overload, normal."""
    ms = 3000 if stack.quick else 6000
    phases = ((NORMAL, 2000), (times * CAPACITY, ms), (NORMAL, ms))
    return finish(_open(stack, gateway, keys, phases, 4096))["phases"]


def _storm_results(times, before, storm, after, others):
    share = 100 * storm["goodput"] / CAPACITY
    yield Result(
        name=f"{times} × a service's capacity, goodput",
        unit="%",
        ours=share,
        bar=GOODPUT[times],
        at_most=False,
        raw=f"{CAPACITY:,}/s of the stub alone",
        detail=f"{storm['sent']:,} asked: {storm['ok']:,} ok, p50 {storm['ok_p50_ms']:.0f}, p99 {storm['ok_p99_ms']:.0f} ms"
        f" (before {before['ok_p99_ms']:.0f}); {storm['refused'] + storm['limited']:,} refused, {storm['late']:,} late,"
        f" {storm['other'] + storm['lost']:,} failed otherwise",
        others=others,
        figures={"before": before, "storm": storm, "after": after},
    )
    yield Result(
        name="… refusals, p99",
        unit="ms",
        ours=storm["refused_p99_ms"],
        bar=REFUSAL_MS,
        detail=f"p50 {storm['refused_p50_ms']:.1f} ms",
        others=others,
    )
    yield Result(
        name="… normal again after",
        unit="s",
        ours=after["recovered_ms"] / 1000,
        bar=RECOVERY_S,
        detail="until the last read that was not answered well within 100 ms",
        others=others,
    )


def storms(stack):
    say(f"overload: a service of {CAPACITY:,}/s")
    with keys_of(stack) as keys, _service(stack) as stub, Gateway(stack, PORT, *upstreams(stub)) as gateway:
        gateway.wait(next(iter(keys.tenants)))
        for times in TIMES:
            (had,), others = rounds(stack, lambda times=times: {"phases": _storm(stack, gateway, keys.path, times)}, 1)
            yield from _storm_results(times, *had["phases"], others)


# --- a noisy neighbour ---


def _noisy_key(stack):
    """Of a tenant whose plan it exceeds."""
    plan = ("--requests-per-second", str(NOISY), "--burst", str(NOISY))
    stack.tidegate("plan", "set", "bench-noisy", *plan)
    stack.tidegate("tenant", "create", "bench-noisy", "--plan", "bench-noisy", "--if-not-exists")
    key = stack.tidegate("key", "create", "--tenant", "bench-noisy", "--scopes", "read").strip()
    path = stack.run / "key-noisy"
    path.write_text(key + "\n", encoding="ascii")
    return key, path


def _others(stack, gateway, quiet, noisy=None):
    """What the quiet tenants had, alone or beside the noisy one."""
    ms = 1000 if stack.quick else 4000
    beside = noisy and _open(stack, gateway, noisy, ((NOISY * NOISY_TIMES, ms + 1000),), 256, "--load.seed=2")
    if noisy:
        time.sleep(0.5)  # the neighbour's burst is gone and its load is there
    (phase,) = finish(_open(stack, gateway, quiet, ((OTHERS, ms),), 512))["phases"]
    if noisy:
        (had,) = finish(beside)["phases"]
        phase |= {"noisy_sent": had["sent"], "noisy_ok": had["ok"]}
    return phase


def _pair(stack, gateway, quiet, noisy):
    alone, beside = _others(stack, gateway, quiet), _others(stack, gateway, quiet, noisy)
    return {
        "alone_p99_ms": alone["ok_p99_ms"],
        "p99_ms": beside["ok_p99_ms"],
        "slower": beside["ok_p99_ms"] / alone["ok_p99_ms"],
        "served": 100 * beside["ok"] / beside["sent"],
        "alone_served": 100 * alone["ok"] / alone["sent"],
        "noisy_ok": beside["noisy_ok"],
        "noisy_sent": beside["noisy_sent"],
    }


def neighbour(stack):
    say("overload: a noisy neighbour")
    with keys_of(stack) as keys, _service(stack, "10ms") as stub, Gateway(stack, PORT, *upstreams(stub)) as gateway:
        key, noisy = _noisy_key(stack)
        gateway.wait(key)
        _others(stack, gateway, keys.path)  # warm
        had, others = rounds(stack, lambda: _pair(stack, gateway, keys.path, noisy), RUNS)
        value = {name: middle(had, name) for name in had[0]}
        yield Result(
            name=f"a neighbour at {NOISY_TIMES} × its plan, others' p99",
            unit="× alone",
            ours=value["slower"],
            bar=SLOWER,
            raw=f"alone {value['alone_p99_ms']:.1f} ms",
            detail=f"{value['p99_ms']:.1f} ms at {OTHERS}/s; the neighbour had {value['noisy_ok']:,.0f} of"
            f" {value['noisy_sent']:,.0f}; {RUNS} runs: " + ", ".join(f"{one['slower']:.2f}" for one in had),
            others=others,
            figures=value,
        )
        yield Result(
            name="… others served",
            unit="%",
            ours=min(one["served"] for one in had),
            bar=SERVED,
            at_most=False,
            raw=f"alone {min(one['alone_served'] for one in had):.2f} %",
            detail="the worst run",
            others=others,
        )
