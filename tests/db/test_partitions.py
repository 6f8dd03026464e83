"""Daily partitions and chunks: made when needed, by anyone at once, never outside the horizon; removed
beyond it."""

import datetime
import threading

import psycopg2
import pytest
from upkeep import Upkeep

UTC = datetime.timezone.utc


def day(offset):
    return datetime.datetime.now(UTC).date() + datetime.timedelta(days=offset)


def partitions(store):
    """(table, first moment) of each partition or chunk."""
    if store.engine == "timescale":
        rows = store.query("owner", "SELECT hypertable_name, range_start AT TIME ZONE 'UTC' FROM"
                                    " timescaledb_information.chunks WHERE hypertable_schema = 'data'")
    else:
        rows = store.query("owner", "SELECT left(c.relname, -9), to_date(right(c.relname, 8), 'YYYYMMDD')"
                                    "::timestamp FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
                                    " WHERE i.inhparent IN ('data.events'::regclass,"
                                    " 'data.metric_minute'::regclass)")
    return sorted(rows)


def expected(*days):
    return sorted((table, datetime.datetime.combine(d, datetime.time()))
                  for table in ("events", "metric_minute") for d in days)


def ensure(store, *days):
    return store.query("tidegate_worker", "SELECT data.ensure_days(%s::date[])",
                       (list(days),))[0][0]


def test_each_day_is_made_once_for_both_tables(store):
    assert ensure(store, day(0), day(-1), day(0)) == 2
    assert ensure(store, day(0), day(-1)) == 0
    assert partitions(store) == expected(day(0), day(-1))
    assert ensure(store) == 0


def test_days_are_utc_days_whatever_the_session_says(store):
    ensure(store, day(-1), day(0))
    connection = store.connect("tidegate_worker")
    cursor = connection.cursor()
    for zone in ("Pacific/Kiritimati", "America/Los_Angeles", "UTC"):
        cursor.execute("SELECT set_config('timezone', %s, true)", (zone,))
        for at in (f"{day(0)} 00:00:00+00", f"{day(-1)} 23:59:59.999999+00"):
            cursor.execute("INSERT INTO data.events (tenant_id, type, event_id, occurred_at,"
                           " received_at) VALUES ('a', 'order', gen_random_uuid(), %s, now())", (at,))
    connection.commit()
    assert partitions(store) == expected(day(0), day(-1))
    assert store.query("owner", "SELECT count(DISTINCT tableoid) FROM data.events") == [(2,)]
    assert store.query("owner", "SELECT count(DISTINCT (occurred_at AT TIME ZONE 'UTC')::date)"
                                " FROM data.events GROUP BY tableoid") == [(1,), (1,)]


def test_a_partition_has_the_parents_key(store):
    ensure(store, day(0))
    row = ("INSERT INTO data.events (tenant_id, type, event_id, occurred_at, received_at)"
           " VALUES ('a', 'order', '00000000-0000-0000-0000-000000000001', %s, now())"
           " ON CONFLICT DO NOTHING RETURNING 1")
    at = f"{day(0)} 00:00:00+00"
    assert store.query("tidegate_worker", row, (at,)) == [(1,)]
    assert store.query("tidegate_worker", row, (at,)) == []


@pytest.mark.parametrize("offset", [-431, -100000, 3, 100000])
def test_days_outside_the_horizon_are_refused_with_a_data_error(store, offset):
    with pytest.raises(psycopg2.errors.DatetimeFieldOverflow):
        ensure(store, day(0), day(offset))
    assert partitions(store) == []


@pytest.mark.parametrize("offset", [-430, -400, 2])
def test_the_edges_of_the_horizon_are_inside(store, offset):
    assert ensure(store, day(offset)) == 1


@pytest.mark.parametrize("value", ["{NULL}", "{infinity}", "{-infinity}"])
def test_no_day_at_all_is_refused(store, value):
    with pytest.raises(psycopg2.errors.DatetimeFieldOverflow):
        store.query("tidegate_worker", "SELECT data.ensure_days(%s::date[])", (value,))


def test_more_than_64_days_at_once_are_refused(store):
    with pytest.raises(psycopg2.errors.ProgramLimitExceeded):
        ensure(store, *[day(-i) for i in range(65)])
    assert ensure(store, *[day(-i) for i in range(64)]) == 64


def test_many_workers_make_the_same_days_at_once(store):
    failures, made = [], []
    barrier = threading.Barrier(8)

    def work(seed):
        try:
            connection = store.connect("tidegate_worker", autocommit=True)
            cursor = connection.cursor()
            barrier.wait(10)
            for i in range(10):
                days = [day(-((seed * 3 + i + k) % 12)) for k in range(3)]
                cursor.execute("SELECT data.ensure_days(%s::date[])", (days,))
                made.append(cursor.fetchone()[0])
        except Exception as error:  # the thread's failure is the test's
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert sum(made) == 12
    assert len(partitions(store)) == 24


def test_making_a_day_waits_for_no_writer_and_no_reader(store):
    ensure(store, day(0))
    writer = store.connect("tidegate_worker")
    writer.cursor().execute("INSERT INTO data.events (tenant_id, type, event_id, occurred_at,"
                            " received_at) VALUES ('a', 'order', gen_random_uuid(), now(), now())")
    reader = store.connect("tidegate_worker")
    reader.cursor().execute("SELECT count(*) FROM data.events")
    maker = store.connect("tidegate_worker")
    cursor = maker.cursor()
    cursor.execute("SET lock_timeout = '2s'")
    cursor.execute("SELECT data.ensure_days(%s::date[])", ([day(-1)],))
    # and while it is not yet committed, nobody waits for it either
    other = store.connect("tidegate_worker")
    late = other.cursor()
    late.execute("SET lock_timeout = '2s'")
    late.execute("INSERT INTO data.events (tenant_id, type, event_id, occurred_at, received_at)"
                 " VALUES ('a', 'order', gen_random_uuid(), now(), now())")
    maker.commit()


def stored_days(store, table="metric_minute"):
    return sorted({at.date() for name, at in partitions(store) if name == table})


def set_horizon(store, days, minutes_ago=11):
    store.query("owner", "UPDATE data.horizon SET days = %s", (days,))
    store.query("owner", "UPDATE data.horizon SET changed_at = now() - %s * interval '1 minute'",
                (minutes_ago,))


def test_days_beyond_the_horizon_are_removed_oldest_first(store):
    upkeep = Upkeep(store)
    days = [day(-n) for n in range(6)]
    ensure(store, *days)
    assert upkeep.drop() == 0
    set_horizon(store, 2)
    assert store.query("tidegate_worker", "SELECT data.drop_next()") == [(1,)]
    assert stored_days(store) == sorted(days)[1:]
    assert upkeep.drop() == 1
    for table in ("events", "metric_minute"):
        assert stored_days(store, table) == sorted(days)[2:]  # one more than the horizon says
    with pytest.raises(psycopg2.errors.DatetimeFieldOverflow):
        ensure(store, day(-3))
    assert ensure(store, day(-2)) == 0


def test_a_new_horizon_waits_for_workers_that_knew_the_old_one(store):
    ensure(store, day(-10))
    set_horizon(store, 2, minutes_ago=9)
    assert Upkeep(store).drop() == 0
    set_horizon(store, 2)
    assert Upkeep(store).drop() == 1


def test_a_day_with_a_touched_or_unbinned_hour_is_not_removed(store):
    ensure(store, day(-10))
    set_horizon(store, 2)
    store.query("tidegate_worker", "INSERT INTO data.touched_hours (tenant_id, hour) VALUES ('a', %s)",
                (f"{day(-10)} 23:00:00+00",))
    assert Upkeep(store).drop() == 0
    store.query("tidegate_worker", "DELETE FROM data.touched_hours")  # so it is to be binned now
    assert Upkeep(store).drop() == 0
    store.query("owner", "DELETE FROM data.unbinned_hours")
    assert Upkeep(store).drop() == 1


def test_removing_a_day_gives_way_to_a_reader(store):
    ensure(store, day(-10))
    set_horizon(store, 2)
    reader = store.connect("tidegate_worker")
    reader.cursor().execute("SELECT count(*) FROM data.events")
    reader.cursor().execute("SELECT count(*) FROM data.metric_minute")
    assert Upkeep(store).drop() == 0
    reader.commit()
    assert Upkeep(store).drop() == 1


@pytest.mark.parametrize("days", [0, 431, -1])
def test_a_horizon_is_between_1_and_430_days(store, days):
    with pytest.raises(psycopg2.errors.CheckViolation):
        store.query("owner", "UPDATE data.horizon SET days = %s", (days,))
