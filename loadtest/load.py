#!/usr/bin/python3
"""`make load`: sends exactly 1,000 events of all types to the running stack, half of them one by one and half in
batches, and proves that exactly 1,000 rows more came of them, with the exact counts and sums in every aggregate.

It uses a tenant of its own, `load`, since others may be sending for the demo tenant; its key is kept in
run/load.key. --seed N makes the same events again, at new times; --batch N is the size of a batch
(50)."""

import argparse
import collections
import concurrent.futures
import pathlib
import random
import sys
import threading
import time
from decimal import Decimal

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))

from lib import events  # noqa: E402
from lib.api import Api  # noqa: E402
from lib.stack import StackError, users_stack  # noqa: E402
from lib.store import LEVELS, Store  # noqa: E402
from lib.waiting import until  # noqa: E402

EVENTS = 1000
TENANT = "load"
SENDERS = 4
PATIENCE = 10  # times that a limit may refuse the same request
LOCAL = threading.local()  # each sender's connection


def own_key(stack):
    """The key of the tenant `load`, which both are made by the first run."""
    path = stack.run / "load.key"
    if path.exists():
        key = path.read_text(encoding="ascii").strip()
        if Api(stack.url, key).get("/v1/kpi/latest").status_code != 401:
            return key
    stack.cli("tenant", "create", TENANT, "--if-not-exists")
    key = stack.cli("key", "create", "--tenant", TENANT, "--scopes", "ingest,read")
    probe = Api(stack.url, key)
    until(lambda: probe.get("/v1/kpi/latest").status_code != 401, 10, "the gateway knows the new key")
    path.touch(mode=0o600)
    path.write_text(key + "\n", encoding="ascii")
    return key


class Run:
    def __init__(self, seed, batch):
        self.stack = users_stack()
        self.store = Store(self.stack.env["TIDEGATE_DSN"], self.stack.settings("query")["pg.dsn"])
        self.key = own_key(self.stack)
        self.tenant = TENANT
        self.batch = batch
        generator = events.Generator(seed, own_times=False)
        self.events = [generator.next() for _ in range(EVENTS)]
        self.accepted = []

    def send(self):
        """Half of the events alone, the others in batches, over a few connections at once."""
        half = EVENTS // 2
        singles = [[event] for event in self.events[:half]]
        batches = [self.events[start:start + self.batch] for start in range(half, EVENTS, self.batch)]
        with concurrent.futures.ThreadPoolExecutor(SENDERS, initializer=self._connect) as senders:
            for ids in senders.map(self._send, singles + batches):
                self.accepted += ids
        return len(singles), len(batches)

    def _connect(self):
        LOCAL.api = Api(self.stack.url, self.key)

    @staticmethod
    def _post(part):
        """The answer; where the plan's limits refuse, once they let it pass."""
        for _ in range(PATIENCE):
            response = LOCAL.api.post(*part[0]) if len(part) == 1 else LOCAL.api.batch(part)
            if response.status_code != 429:
                break
            time.sleep(int(response.headers["Retry-After"]))
        assert response.status_code == 202, f"{response.status_code} {response.text[:500]}"
        return response

    def _send(self, part):
        response = self._post(part)
        if len(part) == 1:
            return [response.json()["event_id"]]
        items = response.json()["items"]
        refused = [item for item in items if item["status"] != "accepted"]
        assert not refused, f"not accepted: {refused[:3]}"
        return [item["event_id"] for item in items]

    def totals(self, level):
        """Of one aggregate level: type -> (count, sum), over all buckets of the tenant."""
        totals = collections.defaultdict(lambda: (0, Decimal(0)))
        for (event_type, *_), cell in self.store.level(self.tenant, level).items():
            count, total = totals[event_type]
            totals[event_type] = (count + cell.count, total + cell.sum)
        return totals

    def expected(self):
        """type -> (count, sum) of what was sent."""
        totals = collections.defaultdict(lambda: (0, Decimal(0)))
        for event in self.events:
            event_type, _, _, value = events.series(*event)
            count, total = totals[event_type]
            totals[event_type] = (count + 1, total + (Decimal(repr(value)) if value is not None else 0))
        return totals


def difference(before, after, event_type):
    return (after[event_type][0] - before[event_type][0], after[event_type][1] - before[event_type][1])


def verify(run, rows_before, before):
    """Compares rows and every level with what was sent; the number of lines that are wrong."""
    print(f"\n  {'':10}{'events':>8}{'sum of values':>28}   in the aggregates")
    wrong = 0
    after = {level: run.totals(level) for level in LEVELS}
    for event_type, sent in sorted(run.expected().items()):
        found = {level: difference(before[level], after[level], event_type) for level in LEVELS}
        bad = {level: seen for level, seen in found.items() if seen != sent}
        wrong += len(bad)
        told = "; ".join(f"{level} has {seen[0]} and {seen[1]}" for level, seen in bad.items())
        print(f"  {event_type:10}{sent[0]:8}{sent[1]:28f}   {told or 'minute, hour and day agree'}")
    ids = len(set(run.accepted))
    stored = run.store.owner.one("SELECT count(DISTINCT event_id) FROM data.events WHERE tenant_id = %s"
                                 " AND event_id = ANY(%s::uuid[])", run.tenant, run.accepted)
    more = run.store.count(run.tenant) - rows_before
    print(f"\n  {ids} different ids acknowledged, {stored} of them stored, {more} rows more")
    return wrong + (ids != EVENTS) + (stored != EVENTS) + (more != EVENTS)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    options.add_argument("--batch", type=int, default=50)
    given = options.parse_args()
    try:
        run = Run(given.seed, given.batch)
        rows_before, before = run.store.count(run.tenant), {level: run.totals(level) for level in LEVELS}
        print(f"tenant {run.tenant} has {rows_before} rows; sending {EVENTS} events (seed {given.seed})")
        start = time.monotonic()
        singles, batches = run.send()
        sent = time.monotonic()
        print(f"acknowledged: {singles} single requests and {batches} batches in {sent - start:.2f} s")
        until(lambda: run.store.count(run.tenant) >= rows_before + EVENTS, 15,
              f"{EVENTS} rows more")
        print(f"stored {1000 * (time.monotonic() - sent):.0f} ms after the last acknowledgement")
        wrong = verify(run, rows_before, before)
    except (AssertionError, StackError) as error:
        print(f"FAILED  {error}\n        what to do: make health; is anything else writing to the tenant {TENANT}?")
        return 1
    print("FAILED  what is stored is not what was sent" if wrong else
          f"exactly {EVENTS} rows more, with the exact sums")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
