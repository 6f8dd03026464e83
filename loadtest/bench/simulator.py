"""The simulator alone, sending to a sink that accepts everything: events per second of one core."""

import subprocess

from bench.result import Result, middle, rounds, say
from bench.stack import BenchError, finish

EVENTS = 300_000
RATE = 10_000  # times the simulator's own: all of it is due at once
BATCH = 500
PORT_SINK = 51  # above the stack's base
BAR = 50_000


def _simulate(stack, target):
    events = stack.size(EVENTS)
    tool = stack.tool_start(
        "tidegate-simulator",
        f"--gateway={target}",
        f"--events={events}",
        f"--rate={RATE}",
        f"--send.batch={BATCH}",
        "--http.listen=127.0.0.1:0",
        "--http.admin_listen=127.0.0.1:0",
        "--log.level=error",
        TIDEGATE_SIMULATOR_KEY=stack.env["TIDEGATE_KEY"],
    )
    had = finish(tool)
    if had["events"] != events:
        raise BenchError(f"the simulator had {had['events']} of {events} events acknowledged")
    return had


def _round(stack, target):
    ours = _simulate(stack, target)
    load = finish(stack.load(f"--load.batch={BATCH}", "--load.connections=4", "--load.seconds=2s", target=target))
    return {
        "per_core": ours["events"] / ours["cpu_seconds"],
        "per_second": ours["events"] / ours["seconds"],
        "load_per_core": load["events"] / load["cpu_seconds"],
    }


def measure(stack):
    say("simulator")
    target = f"127.0.0.1:{stack.base + PORT_SINK}"
    sink = stack.tool_start("simulator_sink", f"--listen={target}", "--log.level=error")
    try:
        stack.wait_for_port(stack.base + PORT_SINK, sink)
        had, others = rounds(stack, lambda: _round(stack, target))
    finally:
        sink.terminate()
        try:
            sink.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            sink.kill()
    value = {name: middle(had, name) for name in had[0]}
    yield Result(
        name="simulator",
        unit="ev/core-s",
        ours=value["per_core"],
        bar=BAR,
        at_most=False,
        raw=f"http_load, one kind of event, no ledger {value['load_per_core']:,.0f} events/core-s",
        detail=f"{1e6 / value['per_core']:.1f} µs CPU per event; {value['per_second']:,.0f} events/s to a sink "
        "that shares the machine",
        others=others,
        figures=value,
    )
