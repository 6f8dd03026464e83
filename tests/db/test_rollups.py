"""Hours and days are exact on commit: whatever maintenance has done so far, the views show the fold of
the rows."""

import datetime
import random
import threading
from decimal import Decimal

import psycopg2
import pytest
from engines import ENGINES
from history import UTC, WIDTHS, Event, floor, fold, read, some_events, write
from upkeep import HOUR, Upkeep


def check(store, events):
    for tenant in ("a", "b"):
        mine = [event for event in events if event.tenant == tenant]
        for level in WIDTHS:
            assert read(store, tenant, level) == fold(mine, level), level


@pytest.fixture
def worker(store):
    return store.connect("tidegate_worker")


@pytest.fixture
def upkeep(store):
    return Upkeep(store)


on_plain = pytest.mark.parametrize("store", ["plain"], indirect=True, scope="function")
on_timescale = pytest.mark.parametrize("store", [e for e in ENGINES if e == "timescale"],
                                       indirect=True, scope="function")


@pytest.mark.parametrize("seed", range(4))
def test_views_equal_the_fold_before_during_and_after_refresh(store, worker, upkeep, seed):
    rng = random.Random(seed)
    events = []
    for _ in range(4):
        batch = some_events(rng, 60)
        write(worker, batch)
        events += batch
        check(store, events)
        upkeep.refresh(hours=rng.randrange(1, 40), days=rng.randrange(0, 3))
        check(store, events)
    upkeep.refresh_all()
    check(store, events)
    # what is left is the open hour and day of each tenant, one mark each
    left = store.query("owner", "SELECT tenant_id, count(*), count(DISTINCT hour), min(hour)"
                                " FROM data.touched_hours GROUP BY 1")
    current = floor(datetime.datetime.now(UTC), WIDTHS["hour"])
    assert all(count == hours for _, count, hours, _ in left)
    assert all(oldest >= current - WIDTHS["hour"] for *_, oldest in left)


def test_a_range_of_hours_and_days_is_the_same_as_filtering_afterwards(store, worker, upkeep):
    rng = random.Random(7)
    events = some_events(rng, 200)
    write(worker, events)
    upkeep.refresh(hours=20, days=1)
    start = floor(datetime.datetime.now(UTC), WIDTHS["day"]) - datetime.timedelta(days=1)
    where = f"WHERE bucket >= '{start.isoformat()}' AND type = 'order' AND kind = 'USD'"
    for level in ("hour", "day"):
        expected = {key: value for key, value in
                    fold([event for event in events if event.tenant == "a"], level).items()
                    if key[2] >= start and key[1] == "order" and key[3] == "USD"}
        assert read(store, "a", level, where) == expected


def left_behind(store):
    """Touched hours, touched days, rows of the day level."""
    (counts,) = store.query("owner", "SELECT (SELECT count(*) FROM data.touched_hours),"
                                     " (SELECT count(*) FROM data.touched_days),"
                                     " (SELECT count(*) FROM data.metric_day)")
    return counts


@on_plain
def test_a_batch_that_commits_during_a_refresh_keeps_its_mark(store, worker, upkeep):
    now = datetime.datetime.now(UTC)
    old = floor(now, WIDTHS["day"]) - datetime.timedelta(days=2) + datetime.timedelta(hours=3)
    first = [Event("a", "order", "USD", "web", old, 0.1)]
    late = [Event("a", "order", "USD", "web", old + datetime.timedelta(minutes=5), 0.2)]
    write(worker, first)

    maintenance = store.connect("tidegate_worker")
    cursor = maintenance.cursor()
    cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    cursor.execute("SELECT count(*) FROM data.touched_hours")  # the snapshot is taken here
    write(worker, late)
    cursor.execute("SELECT data.refresh_hours(10), data.refresh_days(10)")
    assert cursor.fetchone() == (1, 1)
    check(store, first + late)
    maintenance.commit()
    check(store, first + late)
    assert store.query("owner", "SELECT count(*) FROM data.touched_hours") == [(1,)]
    upkeep.refresh()
    check(store, first + late)
    assert left_behind(store) == (0, 0, 1)


@on_timescale
@pytest.mark.parametrize("moment", ["numbered", "refreshed"])
def test_a_batch_that_commits_between_the_steps_of_a_refresh_keeps_its_mark(store, worker, upkeep,
                                                                           moment):
    old = floor(datetime.datetime.now(UTC), WIDTHS["day"]) - datetime.timedelta(hours=21)
    events = [Event("a", "order", "USD", "web", old, 0.1), Event("b", "order", "", "", old, 1.0)]
    late = Event("a", "order", "USD", "web", old + datetime.timedelta(minutes=5), 0.2)
    write(worker, events)
    (hour,) = upkeep.due(HOUR, 10)
    number = upkeep.take(HOUR, hour)
    if moment == "numbered":
        write(worker, [late])
        check(store, events + [late])
    upkeep.call(HOUR, hour)
    if moment == "refreshed":
        write(worker, [late])
    check(store, events + [late])
    upkeep.done(HOUR, hour, number)
    check(store, events + [late])
    assert store.query("owner", "SELECT tenant_id FROM data.touched_hours") == [("a",)]
    upkeep.refresh_all()
    check(store, events + [late])
    assert left_behind(store)[0] == 0


@on_timescale
@pytest.mark.parametrize("steps", range(1, 4))
def test_a_refresh_that_ends_after_any_step_is_made_up_for(store, worker, upkeep, steps):
    old = floor(datetime.datetime.now(UTC), WIDTHS["day"]) - datetime.timedelta(days=2)
    events = [Event(tenant, "order", "", "", old, 1.5) for tenant in "ab"]
    write(worker, events)
    (hour,) = upkeep.due(HOUR, 10)
    upkeep.take(HOUR, hour)
    if steps > 1:
        upkeep.call(HOUR, hour)
    if steps > 2:  # another holder of the lease took the marks over; the first one is late
        first = upkeep.take(HOUR, hour)
        upkeep.take(HOUR, hour)
        upkeep.done(HOUR, hour, first)
    check(store, events)
    assert left_behind(store)[:2] == (2, 0)
    upkeep.refresh_all()
    check(store, events)
    assert left_behind(store) == (0, 0, 2)


@on_timescale
def test_a_costly_hour_rests_while_others_are_refreshed(store, worker, upkeep):
    old = floor(datetime.datetime.now(UTC), WIDTHS["day"]) - datetime.timedelta(days=2)
    hours = [old + datetime.timedelta(hours=n) for n in range(3)]
    events = [Event("a", "order", "", "", hour, 1.5) for hour in hours]
    write(worker, events)
    assert upkeep.due(HOUR, 10) == hours
    for hour, seconds in zip(hours, (7.0, 0.0, 5.0)):
        upkeep.done(HOUR, hour, upkeep.take(HOUR, hour), seconds)
    write(worker, events)
    assert upkeep.due(HOUR, 10) == [hours[1]]
    store.query("owner", "UPDATE data.refreshes SET refreshed_at = refreshed_at - interval '301 s'")
    assert upkeep.due(HOUR, 10) == [hours[1], hours[2]]
    store.query("owner", "UPDATE data.refreshes SET refreshed_at = refreshed_at - interval '120 s'")
    assert upkeep.due(HOUR, 10) == [hours[1], hours[2], hours[0]]  # the quick ones first


@on_timescale
def test_a_row_leaves_nothing_in_the_extensions_own_log(store, worker, upkeep):
    rng = random.Random(3)
    for _ in range(3):
        write(worker, some_events(rng, 40))
        upkeep.refresh_all()
    for table in ("hypertable", "materialization"):
        (rows,) = store.query("owner", f"SELECT count(*) FROM _timescaledb_catalog"
                                       f".continuous_aggs_{table}_invalidation_log")[0]
        assert rows < 200, table  # what a window has not covered yet: gaps between hours, not batches


def test_a_day_waits_for_its_touched_hours(store, worker, upkeep):
    now = datetime.datetime.now(UTC)
    old = floor(now, WIDTHS["day"]) - datetime.timedelta(days=2)
    events = [Event("a", "order", "", "", old + datetime.timedelta(hours=hour), 1.5)
              for hour in range(5)]
    write(worker, events)
    for _ in range(4):
        assert upkeep.refresh(hours=1) == (1, 0)
        check(store, events)
    assert upkeep.refresh(hours=1) == (1, 1)
    assert upkeep.refresh() == (0, 0)
    check(store, events)


@on_plain
def test_refresh_refuses_a_weaker_isolation(worker):
    for function in ("refresh_hours", "refresh_days"):
        with pytest.raises(psycopg2.errors.ActiveSqlTransaction):
            worker.cursor().execute(f"SELECT data.{function}(1)")
        worker.rollback()


def test_a_sum_does_not_depend_on_the_order_of_adding(store, worker, upkeep):
    at = datetime.datetime.now(UTC) - datetime.timedelta(days=2)
    values = [1e15, 0.1, -1e15, 0.2, 1e-7]
    for value in values:
        write(worker, [Event("a", "order", "", "", at, value)])
    upkeep.refresh_all()
    (row,) = read(store, "a", "day").values()
    assert row[2] == Decimal("0.3000001")
    folded = store.query("owner", "SELECT sum(value::text::numeric) FROM data.events")
    assert folded == [(row[2],)]


def test_readers_are_exact_while_writers_and_maintenance_run(store, worker):
    """Each batch adds one event with value 1 to the same series of an old day; whenever read, in one
    statement, the three levels must agree, and in the end nothing is lost."""
    old = floor(datetime.datetime.now(UTC), WIDTHS["day"]) - datetime.timedelta(days=2)
    rounds, writers = 40, 3
    failures = []
    # A statement that was planned before its day's partition came may run without it; that
    # moment is not what this test is about.
    write(worker, [Event("a", "order", "", "", old, 1.0)])
    done = threading.Event()

    def guarded(work):
        def run(*args):
            try:
                work(*args)
            except Exception as error:  # the thread's failure is the test's
                failures.append(error)
        return run

    @guarded
    def write_rounds(seed):
        rng = random.Random(seed)
        connection = store.connect("tidegate_worker")
        for _ in range(rounds):
            at = old + datetime.timedelta(minutes=rng.randrange(300))
            write(connection, [Event("a", "order", "", "", at, 1.0)])

    @guarded
    def maintain():
        mine = Upkeep(store)
        while not done.is_set():
            mine.refresh(hours=2, days=1)

    @guarded
    def compare():
        connection = store.connect("tidegate_query")
        cursor = connection.cursor()
        seen = 0
        while not done.is_set():
            cursor.execute("SET LOCAL tidegate.tenant = 'a'")
            cursor.execute("SELECT (SELECT coalesce(sum(count), 0) FROM api.metric_minute),"
                           " (SELECT coalesce(sum(sum), 0) FROM api.metric_hour),"
                           " (SELECT coalesce(sum(count), 0) FROM api.metric_day),"
                           " (SELECT count(*) FROM api.events)")
            row = cursor.fetchone()
            connection.commit()
            assert len(set(row)) == 1, row
            assert row[0] >= seen
            seen = row[0]

    threads = [threading.Thread(target=write_rounds, args=(seed,)) for seed in range(writers)]
    others = [threading.Thread(target=maintain), threading.Thread(target=compare)]
    for thread in threads + others:
        thread.start()
    for thread in threads:
        thread.join(120)
    done.set()
    for thread in others:
        thread.join(30)
    assert failures == []
    Upkeep(store).refresh_all()
    assert store.query("owner", "SELECT sum(count), sum(sum) FROM data.metric_day") == [
        (rounds * writers + 1, Decimal(rounds * writers + 1))]
