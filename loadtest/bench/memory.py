"""Resident memory: of each service after its start, and its growth over minutes of load."""

import time

from bench.procs import rss_mib
from bench.result import Result
from bench.stack import SERVICES, BenchError, finish

SLICE = 10  # s between two samples
WARM = 0.2  # of the samples are the way to the steady state
GROWTH_MIB = 2


def idle(stack):
    time.sleep(2)
    had = {name: rss_mib(stack.pid(name)) for name in SERVICES}
    yield Result(
        name="idle, the largest service",
        unit="MiB",
        ours=max(had.values()),
        bar=40,
        detail=", ".join(f"{name} {mib:.1f}" for name, mib in had.items()),
        figures=had,
    )


def _mean(values):
    return sum(values) / len(values)


def _growth(samples):
    """MiB between the second and the last fifth of the run."""
    part = max(1, int(len(samples) * WARM))
    return _mean(samples[-part:]) - _mean(samples[part : 2 * part])


def soak(stack, minutes):
    """Single events, batches and readers side by side, slice by slice."""
    samples = {name: [] for name in SERVICES}
    until = time.monotonic() + minutes * 60
    sent = 0
    while time.monotonic() < until:
        loads = [
            stack.load("--load.rate=500", "--load.type=stream", f"--load.seconds={SLICE}s"),
            stack.load("--load.rate=500", f"--load.seconds={SLICE}s"),
            stack.load("--load.rate=2", "--load.batch=1000", f"--load.seconds={SLICE}s", "--load.connections=2"),
        ]
        for load in loads:
            had = finish(load)
            sent += had["events"]
            if had["errors"] > 0:
                raise BenchError(f"{had['errors']} requests failed in the soak, the last with {had['bad_code']}")
        for name, had in samples.items():
            had.append(rss_mib(stack.pid(name)))
    growth = {name: _growth(had) for name, had in samples.items()}
    each = ", ".join(f"{name} {had[-1]:.1f} ({growth[name]:+.1f})" for name, had in samples.items())
    yield Result(
        name=f"growth over {minutes:g} min of load",
        unit="MiB",
        ours=max(growth.values()),
        bar=GROWTH_MIB,
        detail=f"{sent:,} events; {each}",
        figures={"growth": growth, "samples": samples},
    )
