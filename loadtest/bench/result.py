"""What a measurement gives, and how rounds become one figure."""

import sys
import time
from dataclasses import asdict, dataclass, field
from statistics import median

from bench.procs import Others

NOISE_MAX = 0.10  # of all processors; above it a figure is no result
ROUNDS = 3
ROUNDS_MORE = 2  # at most this many further ones instead of noisy ones
QUIET_S = 2  # that the machine must have been quiet before a round, where one waits for it
START = time.monotonic()


def say(text):
    """Progress, beside the table."""
    print(f"  {time.monotonic() - START:4.0f} s  {text}", file=sys.stderr, flush=True)


@dataclass
class Result:
    """One line of the table. `ours` meets the bar when it is at most (or at least) `bar`."""

    name: str
    unit: str
    ours: float
    bar: float | None  # None: told beside another figure, promised to nobody
    at_most: bool = True
    raw: str = ""  # the raw limit, in words
    detail: str = ""
    engine: str = ""  # of the store, where it matters
    others: float = 0.0  # share of the machine that other processes used
    figures: dict = field(default_factory=dict)

    @property
    def title(self):
        return f"{self.name}, {self.engine}" if self.engine else self.name

    @property
    def met(self):
        if self.bar is None:
            return True
        return self.ours <= self.bar if self.at_most else self.ours >= self.bar

    @property
    def noisy(self):
        return self.others > NOISE_MAX

    def as_dict(self):
        return asdict(self) | {"met": self.met, "noisy": self.noisy}


def _wait_for_quiet(stack, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with Others(stack.pids) as others:
            time.sleep(QUIET_S)
        if others.share <= NOISE_MAX:
            return


def rounds(stack, measure, count=ROUNDS):
    """Calls `measure` (which returns a dict of figures) until `count` rounds were quiet, or enough
    rounds were had; gives the quietest ones and the largest share of others among them."""
    had = []
    count, most = (1, 1) if stack.quick else (count, count + ROUNDS_MORE)
    while len(had) < most:
        _wait_for_quiet(stack, stack.patience)
        with Others(stack.pids) as others:
            figures = measure()
        had.append((others.share, len(had), figures))
        if sum(share <= NOISE_MAX for share, _, _ in had) == count:
            break
    quietest = sorted(had, key=lambda one: one[:2])[:count]
    return [figures for _, _, figures in quietest], quietest[-1][0]


def middle(figures, name):
    """The median of one figure over the rounds."""
    return median(one[name] for one in figures)
