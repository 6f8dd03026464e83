"""Which fault hits what, and when: the same for the same seed and length, whatever the machine does.

Each seed hits every part at least once; faults of different parts overlap freely, those of one part follow
each other. All of them are over before the end."""

import collections
import random

TARGETS = ("gateway", "ingestion", "worker", "kafka", "postgres", "redis")
DIRECTIONS = ("both", "upstream", "downstream")

Fault = collections.namedtuple("Fault", "at target kind lasts detail")
Schedule = collections.namedtuple("Schedule", "seed seconds workers faults")


def _kill(rng):
    return round(rng.uniform(0, 2), 2), {}


def _pause(rng):
    return round(rng.choice((rng.uniform(0.3, 2), rng.uniform(2, 4), rng.uniform(4, 7))), 2), {}


def _restart(_rng):
    return 0.0, {}


def _blackhole(rng):
    return round(rng.uniform(0.5, 5), 2), {"direction": rng.choice(DIRECTIONS)}


def _latency(rng):
    return round(rng.uniform(1, 5), 2), {"direction": rng.choice(DIRECTIONS),
                                         "ms": rng.choice((20, 100, 400, 1000, 3000))}


def _reset(rng):
    return round(rng.uniform(0.2, 1.5), 2), {"direction": rng.choice(DIRECTIONS), "ms": rng.choice((0, 5, 50, 200))}


def _cut(rng):
    """Every connection ends after so many bytes: in the middle of a request, an answer, or before a COMMIT."""
    return round(rng.uniform(1, 5), 2), {"direction": rng.choice(DIRECTIONS),
                                         "bytes": round(10 ** rng.uniform(2.5, 5.5))}


# kind -> (weight, what makes it)
FAULTS = {"kill": (4, _kill), "pause": (3, _pause), "restart": (2, _restart), "blackhole": (3, _blackhole),
          "latency": (2, _latency), "reset": (3, _reset), "cut": (4, _cut)}
GAP = 0.5  # seconds between two faults of one part


def make(seed, seconds):
    """The schedule of a seed, faults in the order of their start."""
    rng = random.Random(f"tidegate ledger {seed}")
    count = max(len(TARGETS), round(seconds * 0.7))
    targets = [*TARGETS, *(rng.choice(TARGETS) for _ in range(count - len(TARGETS)))]
    starts = sorted(rng.uniform(0.5, max(1.0, seconds - 2)) for _ in targets)
    rng.shuffle(targets)
    free = collections.defaultdict(float)
    faults = []
    for start, target in zip(starts, targets):
        kind = rng.choices(list(FAULTS), [weight for weight, _ in FAULTS.values()])[0]
        lasts, detail = FAULTS[kind][1](rng)
        at = round(max(start, free[target]), 2)
        lasts = round(min(lasts, seconds - at), 2)
        if lasts < 0:
            continue  # the faults before it took all the time
        free[target] = at + lasts + GAP
        faults.append(Fault(at, target, kind, lasts, detail))
    return Schedule(seed, seconds, rng.choice((1, 2)), sorted(faults, key=lambda fault: fault[:2]))


def table(schedule):
    """The schedule as text."""
    lines = [f"seed {schedule.seed}, {schedule.seconds} s, {schedule.workers} worker(s)",
             f"{'at s':>6} {'for s':>6}  {'part':<10} {'fault':<10}"]
    for fault in schedule.faults:
        detail = " ".join(f"{name}={value}" for name, value in fault.detail.items())
        lines.append(f"{fault.at:6.2f} {fault.lasts:6.2f}  {fault.target:<10} {fault.kind:<10} {detail}".rstrip())
    return "\n".join(lines)
