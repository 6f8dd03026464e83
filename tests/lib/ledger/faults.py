"""Carries a schedule out: one thread per part, so that a slow restart of one delays no fault of another."""

import collections
import threading
import time

from lib.ledger.world import LINKS_OF
from lib.stack import StackError

REVIVAL = 90  # seconds for a part to come back, on a loaded machine


class Faults:
    """Use as a context: at its end all faults are over and all parts run again."""

    def __init__(self, world, schedule):
        self.world = world
        self.schedule = schedule
        self.errors = []
        self.started = None
        by_target = collections.defaultdict(list)
        for fault in schedule.faults:
            by_target[fault.target].append(fault)
        self.threads = [threading.Thread(target=self._run, args=(faults,), daemon=True)
                        for faults in by_target.values()]

    def __enter__(self):
        self.started = time.monotonic()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        for thread in self.threads:
            thread.join()
        self.world.heal()
        assert not self.errors, self.errors[0]

    def _run(self, faults):
        try:
            for fault in faults:
                self._sleep_until(fault.at)
                getattr(self, "_" + fault.kind)(fault)
        except Exception as error:  # pylint: disable=broad-except
            self.errors.append(error)

    def _sleep_until(self, at):
        time.sleep(max(0.0, self.started + at - time.monotonic()))

    def _kill(self, fault):
        self.world.stack.command("kill", fault.target)
        self._sleep_until(fault.at + fault.lasts)
        self.world.revive(fault.target, REVIVAL)

    def _pause(self, fault):
        self.world.stack.command("pause", fault.target)
        self._sleep_until(fault.at + fault.lasts)
        self.world.stack.command("resume", fault.target)

    def _restart(self, fault):
        try:
            self.world.stack.command("restart", fault.target)
        except StackError:
            self.world.revive(fault.target, REVIVAL)  # it could not be ready while what it needs was away

    def _blackhole(self, fault):
        self._poison(fault, "timeout", timeout=0)

    def _latency(self, fault):
        self._poison(fault, "latency", latency=fault.detail["ms"], jitter=fault.detail["ms"] // 4)

    def _reset(self, fault):
        self._poison(fault, "reset_peer", timeout=fault.detail["ms"])

    def _cut(self, fault):
        self._poison(fault, "limit_data", bytes=fault.detail["bytes"])

    def _poison(self, fault, kind, **attributes):
        direction = fault.detail["direction"]
        for link in LINKS_OF[fault.target]:
            self.world.proxy.poison(link, fault.target, kind, direction, **attributes)
        self._sleep_until(fault.at + fault.lasts)
        for link in LINKS_OF[fault.target]:
            self.world.proxy.cure(link, fault.target, direction)
