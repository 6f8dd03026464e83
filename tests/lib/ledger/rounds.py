"""One round of the ledger test: load and faults by a seed, healing, retries, and the verdict."""

import contextlib
import threading
import time
import traceback

from lib.ledger import check, schedule
from lib.ledger.clients import Client, Garbage
from lib.ledger.faults import Faults
from lib.ledger.observe import Observer
from lib.load import CUT, REFUSED, Reads
from lib.tenants import Tenant
from lib.waiting import until

TENANTS = 3
CLIENTS = 2       # of each tenant, so that the gateway has single events to bundle
RETRIED = 0.5     # of the events whose fate is unknown; the others may be stored or not
RECOVERY = 90     # seconds for each step after the faults, on a loaded machine
ROLLED_UP = 12    # after that the judge looks again in any case: marked hours are exact too
READS = ("/v1/kpi/minute", "/v1/kpi/hour", "/v1/metrics", "/v1/streams/top")
HONEST = {200, 502, 503, 504, CUT, REFUSED}  # what a read may be answered under faults


class Violated(AssertionError):
    """The message has all that is needed to see what happened and to do it again."""


def run(world, seed, seconds):
    """Runs a round; a line that sums it up. Raises Violated."""
    plan = schedule.make(seed, seconds)
    try:
        violations, summary = _Round(world, plan).play()
    except Exception as error:  # pylint: disable=broad-except
        raise Violated(_story(world, plan, f"the round did not come to its end: {traceback.format_exc()}")) from error
    if violations:
        raise Violated(_story(world, plan, f"{summary}\n{check.report(violations)}"))
    return summary


def _story(world, plan, what):
    return (f"{schedule.table(plan)}\n\n{what}\n\nlogs: {world.stack.run}/log\n"
            f"again: tools/soak --seed {plan.seed} --seconds {plan.seconds}")


class _Round:
    def __init__(self, world, plan):
        self.world = world
        self.plan = plan
        self.ledger = check.Ledger()
        self.tenants = [Tenant(world.stack, world.store) for _ in range(TENANTS)]
        self.ids = [tenant.id for tenant in self.tenants]
        self.observer = Observer(world.store, world.topics)
        lock = threading.Lock()
        self.clients = [Client(world, tenant, plan.seed * 10 + number, self.ledger, lock)
                        for number, tenant in enumerate(self.tenants * CLIENTS)]
        self.marked = 0  # hours and days that were not rolled up when the judge looked for the last time
        self.garbage = Garbage(world, self.ids, plan.seed, self.ledger)

    def play(self):
        """(the violations, a line that sums up)"""
        times = [time.monotonic()]
        with contextlib.ExitStack() as workers:
            if self.plan.workers == 2:
                workers.enter_context(self.world.second_worker())
            for step in (self._load_and_faults, self._settle, self._judge):
                violations = step()
                times.append(time.monotonic())
        return violations, self._summary(*(later - sooner for sooner, later in zip(times, times[1:])))

    def _load_and_faults(self):
        for part in (*self.clients, self.garbage):
            part.start()
        reads = Reads(self.tenants[0], READS, pause=0.02, url=self.world.url)
        try:
            with reads, Faults(self.world, self.plan) as faults:
                time.sleep(max(0.0, faults.started + self.plan.seconds - time.monotonic()))
            before = [client.acknowledged for client in self.clients]
            for client, count in zip(self.clients, before):
                until(lambda one=client, past=count: one.acknowledged > past + 20 or one.error, RECOVERY,
                      f"events are acknowledged again; answers: {client.statuses}", every=0.1)
        finally:
            for client in self.clients:
                client.stop()
            self.garbage.stop()
        for client in self.clients:
            client.join()
        self.ledger.answers.extend(f"{answer.status} for a read: {answer.text[:300]}" for answer in reads.answers
                                   if answer.status not in HONEST)

    def _settle(self):
        for client in self.clients:
            client.retry(RETRIED)
        self.world.store.wait_drained(self.world.topics, RECOVERY)
        until(lambda: self.observer.unpublished() == 0, RECOVERY, "dead letters are in their topic", every=0.1)

    def _judge(self):
        """At once, when hours and days are read from marked minutes; and again when they are rolled up."""
        violations = check.check(self.ledger, self.observer.look(self.ids))
        self.world.store.free_lease()
        with contextlib.suppress(AssertionError):  # being slow is no violation here
            until(lambda: self.observer.marked_hours(self.ids) == 0, ROLLED_UP, "hours are rolled up", every=0.1)
        self.marked = self.observer.marked_hours(self.ids)
        return violations or check.check(self.ledger, self.observer.look(self.ids))

    def _summary(self, load, settling, judging):
        sent, acknowledged = len(self.ledger.sent), len(self.ledger.acknowledged)
        statuses = {}
        for client in self.clients:
            for status, count in client.statuses.items():
                statuses[status] = statuses.get(status, 0) + count
        answers = " ".join(f"{status}:{count}" for status, count in sorted(statuses.items(), key=str))
        return (f"seed {self.plan.seed}: {sent} sent, {acknowledged} acknowledged, {len(self.ledger.letters)} garbage, "
                f"{len(self.plan.faults)} faults, {self.plan.workers} worker(s), {load:.0f} s + {settling:.0f} s to "
                f"settle + {judging:.0f} s to judge, {self.marked} marks left; answers {answers}")
