"""The same history in every engine gives the same rows in every view, at every moment: not yet refreshed, half
refreshed, touched again, compressed, cut off at the horizon. Where the server has no TimescaleDB, only
plain PostgreSQL is compared, with the fold of the events."""

import datetime
import random

import psycopg2
import pytest
from history import UTC, WIDTHS, floor, fold, ids_of, read, some_events, write
from upkeep import Upkeep

TENANTS = "abc"
DAYS_KEPT = 2


class Twins:
    """The engines' databases, fed alike; `events` is what they were told."""

    def __init__(self, stores, rng):
        self.rng = rng
        self.stores = stores
        self.workers = [store.connect("tidegate_worker") for store in stores]
        self.upkeeps = [Upkeep(store) for store in stores]
        self.events = {}
        self.first_kept = None

    def write(self, events):
        for worker in self.workers:
            write(worker, events)
        self.events.update({event.id: event for event in events})

    def upkeep(self, name, *args, **kwargs):
        return [getattr(upkeep, name)(*args, **kwargs) for upkeep in self.upkeeps]

    def expected(self, tenant, level):
        return fold([event for event in self.events.values() if event.tenant == tenant
                     and (level != "minute" or self.is_kept(event))], level)

    def is_kept(self, event):
        return self.first_kept is None or event.at >= self.first_kept

    def is_accepted(self, event):
        return self.first_kept is None or event.at >= self.first_kept + WIDTHS["day"]

    def check(self, moment):
        for store in self.stores:
            for tenant in TENANTS:
                for level in WIDTHS:
                    assert read(store, tenant, level) == self.expected(tenant, level), (
                        moment, store.engine, tenant, level)
        for tenant in TENANTS:
            rows = [ids_of(store, tenant) for store in self.stores]
            assert all(other == rows[0] for other in rows), moment
            assert len(rows[0]) == len([event for event in self.events.values()
                                        if event.tenant == tenant and self.is_kept(event)])

    def random_batches(self, count, size, **ages):
        """Batches of new events, each with some that came before."""
        for _ in range(count):
            again = self.rng.sample(sorted(self.events.values(), key=str),
                                    min(len(self.events), size // 10))
            accepted = [event for event in again if self.is_accepted(event)]
            self.write(some_events(self.rng, size, tenants=TENANTS, **ages) + accepted)

    def refresh_some(self):
        hours, days = self.rng.randrange(1, 60), self.rng.randrange(3)
        self.upkeep("refresh", hours=hours, days=days)

    def cut(self):
        """Lets the horizon come nearer and removes what lies beyond it."""
        for store in self.stores:
            store.query("owner", f"UPDATE data.horizon SET days = {DAYS_KEPT}")
            store.query("owner", "UPDATE data.horizon SET changed_at = now() - interval '1 hour'")
            store.query("owner", "DELETE FROM data.unbinned_hours")  # bins are another test's
        today = floor(datetime.datetime.now(UTC), WIDTHS["day"])
        self.first_kept = today - datetime.timedelta(days=DAYS_KEPT + 1)
        return self.upkeep("drop")


def test_every_engine_shows_the_same_rows_at_every_moment(stores, seed):
    twins = Twins(stores, random.Random(seed))
    twins.random_batches(3, 150, oldest_hours=140)
    twins.check("not refreshed")
    twins.refresh_some()
    twins.check("half refreshed")
    twins.upkeep("refresh_all")
    twins.check("refreshed")

    twins.random_batches(2, 40, oldest_hours=140)
    twins.check("touched again")
    twins.refresh_some()
    twins.check("touched again, half refreshed")
    twins.upkeep("refresh_all")
    twins.check("refreshed again")

    compressed = twins.upkeep("compress", "1 day")
    assert [count > 4 for count in compressed] == [store.engine == "timescale" for store in stores]
    twins.check("compressed")
    twins.random_batches(2, 40, oldest_hours=140)
    twins.check("late rows in compressed chunks")
    twins.upkeep("refresh_all")
    twins.check("compressed, refreshed")
    for store in stores:
        if store.engine == "timescale":
            store.query("owner", "UPDATE data.compressions SET compressed_at = '2000-01-01'")
    assert [count > 0 for count in twins.upkeep("compress", "1 day")] == [
        store.engine == "timescale" for store in stores]
    twins.check("compressed again")

    assert all(days >= 2 for days in twins.cut())
    twins.check("cut off")
    twins.random_batches(2, 40, oldest_hours=24 * DAYS_KEPT)
    twins.check("touched after the cut")
    twins.upkeep("refresh_all")
    twins.check("refreshed after the cut")
    for worker in twins.workers:
        with pytest.raises(psycopg2.errors.DatetimeFieldOverflow):
            write(worker, some_events(twins.rng, 3, oldest_hours=140, newest_hours=100))
        worker.rollback()
    twins.check("rows beyond the horizon refused")
