"""One limit over two gateways: what they admit together when asked for twice of it, also while Redis is away.

Two gateways of their own beside the stack's, told that they are two. Counted is what was not answered 429, less
the burst, which is there when it begins.
"""

import threading
import time

from bench.result import Result, rounds, say
from bench.stack import finish

RATE, BURST = 1000, 1000  # of the large tenant
SECONDS = 30
SMALL, SMALL_BURST, SMALL_SECONDS = 5, 10, 10
PORTS = (52, 53)  # above the stack's base; their admin ports ten above
PATH = "/v1/kpi/latest"


def _tenant(stack, name, rate, burst):
    plan = ("--requests-per-second", str(rate), "--burst", str(burst))
    stack.tidegate("plan", "set", name, *plan)
    stack.tidegate("tenant", "create", name, "--plan", name)
    return stack.tidegate("key", "create", "--tenant", name, "--scopes", "read").strip()


def _gateways(stack):
    running = []
    for port in PORTS:
        listen = f"127.0.0.1:{stack.base + port}"
        admin = f"127.0.0.1:{stack.base + port + 10}"
        words = (f"--http.listen={listen}", f"--http.admin_listen={admin}", "--limits.gateways=2", "--log.level=error")
        gateway = stack.tool_start("tidegate-gateway", *words, TIDEGATE_CONFIG=str(stack.run / "tidegate.ini"))
        stack.wait_for_port(stack.base + port, gateway)
        running.append(gateway)
    return running


def _storm(stack, key, rate, seconds):
    """Asks both gateways, `rate` per second in all; what was admitted, what failed otherwise, and the time."""
    words = (f"--load.get={PATH}", f"--load.rate={rate // len(PORTS)}", f"--load.seconds={seconds}s")
    running = [
        stack.tool_start(
            "http_load",
            f"--load.target=127.0.0.1:{stack.base + port}",
            "--load.connections=16",
            *words,
            TIDEGATE_HTTP_LOAD_LOAD_KEY=key,
        )
        for port in PORTS
    ]
    had = [finish(process) for process in running]
    return {
        "admitted": sum(one["requests"] - one["errors"] for one in had),
        "errors": sum(one["errors"] - one["limited"] for one in had),
        "asked": sum(one["requests"] for one in had),
        "seconds": max(one["seconds"] for one in had),
    }


def _large_storm(stack, key, seconds):
    time.sleep(1.5)  # until all of the burst is there
    had = _storm(stack, key, 2 * RATE, seconds)
    return had | {"admitted": had["admitted"] - BURST}


def _off(had):
    return abs(100 * had["admitted"] / had["seconds"] / RATE - 100)


def _line(stack, name, run, bar):
    (had,), others = rounds(stack, run, 1)
    return Result(
        name=name,
        unit="% off",
        ours=_off(had),
        bar=bar,
        detail=f"{had['admitted']:,} of {had['asked']:,} admitted beside the burst in {had['seconds']:.1f} s",
        others=others,
        figures=had,
    )


def _without_redis(stack, key, seconds):
    """The same while Redis is stopped in the middle third."""

    def away():
        time.sleep(1.5 + seconds / 3)
        stack.stop("redis")
        time.sleep(seconds / 3)
        stack.start("redis")

    thread = threading.Thread(target=away)
    thread.start()
    had = _large_storm(stack, key, seconds)
    thread.join()
    return had


def measure(stack):
    say("limits over two gateways")
    large = _tenant(stack, "limits-large", RATE, BURST)
    small = _tenant(stack, "limits-small", SMALL, SMALL_BURST)
    gateways = _gateways(stack)
    seconds = stack.size(SECONDS)
    try:
        yield _line(stack, "1,000/s over two gateways at 2×", lambda: _large_storm(stack, large, seconds), 1)
        away = _line(stack, "Redis away for a third of it", lambda: _without_redis(stack, large, seconds), 10)
        yield away
        yield Result(name="Redis away for a third of it, errors", unit="", ours=away.figures["errors"], bar=0)
        had = _storm(stack, small, 200, SMALL_SECONDS)
        gives = SMALL * had["seconds"] + SMALL_BURST
        detail = f"{had['admitted']} admitted, limit × time + burst is {gives:.0f}"
        over = had["admitted"] - gives
        name = "5/s over two gateways, beyond the limit"
        yield Result(name=name, unit="", ours=over, bar=2, detail=detail, figures=had)
    finally:
        for gateway in gateways:
            gateway.terminate()
            gateway.communicate(timeout=20)
