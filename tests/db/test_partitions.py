"""Daily partitions: made when needed, by anyone at once, never outside the horizon."""

import datetime
import threading

import psycopg2
import pytest

UTC = datetime.timezone.utc


def day(offset):
    return datetime.datetime.now(UTC).date() + datetime.timedelta(days=offset)


def partitions(store):
    return sorted(row[0] for row in store.query(
        "owner", "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
                 " WHERE i.inhparent IN ('data.events'::regclass, 'data.metric_minute'::regclass)"))


def ensure(store, *days):
    return store.query("tidegate_worker", "SELECT data.ensure_days(%s::date[])",
                       (list(days),))[0][0]


def test_each_day_is_made_once_for_both_tables(store):
    assert ensure(store, day(0), day(-1), day(0)) == 2
    assert ensure(store, day(0), day(-1)) == 0
    assert partitions(store) == sorted(f"{table}_{d:%Y%m%d}" for table in ("events", "metric_minute")
                                       for d in (day(0), day(-1)))
    assert ensure(store) == 0


def test_days_are_utc_days_whatever_the_session_says(store):
    ensure(store, day(-1), day(0))
    connection = store.connect("tidegate_worker")
    cursor = connection.cursor()
    for zone in ("Pacific/Kiritimati", "America/Los_Angeles", "UTC"):
        cursor.execute("SELECT set_config('timezone', %s, true)", (zone,))
        for at in (f"{day(0)} 00:00:00+00", f"{day(-1)} 23:59:59.999999+00"):
            cursor.execute("INSERT INTO data.events (tenant_id, type, event_id, occurred_at,"
                           " received_at) VALUES ('a', 'order', gen_random_uuid(), %s, now())"
                           " RETURNING tableoid::regclass::text", (at,))
            assert cursor.fetchone()[0] == "data.events_" + at[:10].replace("-", "")


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
