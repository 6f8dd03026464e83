"""Each tenant's rows end at its own retention: at all levels at the same midnight, in bounded steps, on either
engine; what is inside stays exact while they go."""

import datetime
import random

import psycopg2
import pytest
from history import UTC, WIDTHS, Event, floor, fold, ids_of, read, some_events, write
from upkeep import Upkeep

DAY = WIDTHS["day"]
KEPT = {"a": 1, "b": 2, "c": None}  # days; None: as the platform
LEVELS = {"late_bins": "hour", "events": "occurred_at", "metric_minute": "bucket", "metric_hour": "bucket",
          "metric_day": "bucket", "metric_hour_bins": "bucket", "metric_hour_kind_bins": "bucket"}


def midnight(days_ago):
    return floor(datetime.datetime.now(UTC), DAY) - days_ago * DAY


def cut(tenant):
    return midnight(KEPT[tenant]) if KEPT[tenant] else datetime.datetime.min.replace(tzinfo=UTC)


@pytest.fixture
def tenants(store):
    """a: by an override, b: by its plan, c: kept."""
    store.query("owner", "INSERT INTO control.plans (name, requests_per_second, burst, retention_days)"
                         " VALUES ('short', 1, 1, 2)")
    store.query("owner", "INSERT INTO control.tenants (id, plan, limits) VALUES ('a', 'short',"
                         " '{\"retention_days\": 1}'), ('b', 'short', '{}'), ('c', 'default', '{}')")
    return KEPT


@pytest.fixture
def upkeep(store, tenants):
    return Upkeep(store)


def bins(store):
    """Bins what waits, as the maintenance does."""
    store.query("owner", "INSERT INTO data.leases VALUES ('maintenance', 'me', 7, now()) ON CONFLICT DO NOTHING")
    connection = store.connect("tidegate_worker")
    connection.set_session(isolation_level="REPEATABLE READ")
    cursor = connection.cursor()
    cursor.execute("SELECT hours FROM data.bin_hours(7, 1000000, 1000000)")
    connection.commit()
    return cursor.fetchone()[0]


def check(store, events, inside=False):
    """That every level is the fold of the events that are kept; `inside`: looking no further back than those."""
    for tenant in KEPT:
        own = [event for event in events if event.tenant == tenant and event.at >= cut(tenant)]
        for level in WIDTHS:
            rows = read(store, tenant, level, f"WHERE bucket >= '{cut(tenant)}'" if inside and KEPT[tenant] else "")
            assert rows == fold(own, level), (store.engine, tenant, level)
        if not inside:
            assert {row[0] for row in ids_of(store, tenant)} == {str(event.id) for event in own}


def beyond(store):
    """Rows that should be gone, by table."""
    return {table: store.query("owner", f"SELECT count(*) FROM data.{table} x JOIN data.retention_cuts c"
                                        f" USING (tenant_id) WHERE x.{column} < c.cut")[0][0]
            for table, column in LEVELS.items()}


def history(rng, count):
    return some_events(rng, count, oldest_hours=24 * 5, tenants="abc")


def test_what_is_left_is_exact_at_every_level_and_at_every_step(store, upkeep, seed):
    rng = random.Random(seed)
    worker = store.connect("tidegate_worker")
    events = history(rng, 400)
    write(worker, events)
    upkeep.refresh_all()
    assert bins(store) > 50
    assert (upkeep.compress("60 hours") > 0) == (store.engine == "timescale")
    late = history(rng, 60)
    write(worker, late)
    upkeep.refresh(hours=20)
    events += late
    assert all(beyond(store)[table] > 0 for table in LEVELS if table != "late_bins")

    for number, part in enumerate(upkeep.parts()):
        while upkeep.expire(part, most=7) > 0:
            if rng.randrange(12) == 0:
                upkeep.refresh(hours=rng.randrange(1, 9), days=1)
                check(store, events, inside=True)
        if number % 5 == 0:
            check(store, events, inside=True)
    upkeep.refresh_all()
    upkeep.sweep()
    assert set(beyond(store).values()) == {0}
    check(store, events)

    bins(store)
    write(worker, [Event("c", "order", "", "", midnight(4), 1.0, None)])
    upkeep.refresh_all()
    assert set(beyond(store).values()) == {0}
    assert upkeep.sweep() == {}


def test_late_rows_beyond_the_retention_go_with_the_next_sweep(store, upkeep):
    worker = store.connect("tidegate_worker")
    events = history(random.Random(1), 200)
    write(worker, events)
    upkeep.refresh_all()
    upkeep.sweep()
    upkeep.compress("60 hours")
    write(worker, [event._replace(tenant="a") for event in some_events(random.Random(2), 20, 110, 70)])
    check(store, events, inside=True)
    assert upkeep.sweep()["events"] == 20
    upkeep.refresh_all()
    upkeep.sweep()
    check(store, events)


def test_a_shorter_retention_counts_at_once_and_a_longer_one_brings_nothing_back(store, upkeep):
    events = history(random.Random(3), 300)
    write(store.connect("tidegate_worker"), events)
    kept = {"a": midnight(1), "b": midnight(2)}
    assert upkeep.sweep()["events"] == sum(event.at < kept[event.tenant] for event in events if event.tenant in kept)
    store.query("owner", "UPDATE control.plans SET retention_days = 1 WHERE name = 'short'")
    of_a_day = sum(event.tenant == "b" and midnight(2) <= event.at < midnight(1) for event in events)
    assert upkeep.sweep()["events"] == of_a_day > 5
    store.query("owner", "UPDATE control.plans SET retention_days = 0 WHERE name = 'short'")
    assert "events" not in upkeep.sweep()


def test_a_step_deletes_at_most_what_it_is_told(store, upkeep):
    write(store.connect("tidegate_worker"), history(random.Random(4), 300))
    part = next(part for part in upkeep.parts() if part[0] == "events" and part[3] == midnight(3))
    steps = []
    while (rows := upkeep.expire(part, most=10)) > 0:
        steps.append(rows)
    assert len(steps) > 3
    assert set(steps[:-1]) == {10} and steps[-1] <= 10


def test_rows_come_in_beside_an_open_step(store, upkeep):
    worker = store.connect("tidegate_worker")
    write(worker, history(random.Random(5), 200))
    upkeep.compress("60 hours")
    upkeep.cursor.execute("BEGIN")
    assert sum(upkeep.expire(part) for part in upkeep.parts()) > 50
    worker.cursor().execute("SET lock_timeout = '2s'")
    write(worker, some_events(random.Random(6), 100, oldest_hours=110, tenants="abc"))
    upkeep.cursor.execute("COMMIT")
    upkeep.sweep()
    assert beyond(store)["events"] == 0


def test_what_was_found_and_what_failed_goes_too(store, upkeep):
    old, young = midnight(1) - datetime.timedelta(seconds=1), midnight(1)
    for number, (tenant, at) in enumerate((t, at) for t in "ac" for at in (old, young)):
        store.query("owner", "INSERT INTO data.anomalies (tenant_id, id, anomaly_type, severity, detection_ts)"
                             " VALUES (%s, gen_random_uuid(), 'x', 1, %s)", (tenant, at))
        store.query("owner", "WITH a AS (INSERT INTO data.alerts (tenant_id, id, rule_id, rule_name, severity, fired_at)"
                             " VALUES (%s, gen_random_uuid(), gen_random_uuid(), 'x', 1, %s) RETURNING *)"
                             " SELECT 1 FROM a", (tenant, at))
        letter(store, number, tenant, at)
    store.query("owner", "INSERT INTO data.alert_deliveries (tenant_id, alert_id, change, channel)"
                         " SELECT tenant_id, id, 'fired', 0 FROM data.alerts")
    assert upkeep.sweep(most=1) == {"anomalies": 1, "alerts": 1, "dead_letters": 1}
    for table in ("anomalies", "alerts", "alert_deliveries", "dead_letters"):
        assert store.query("owner", f"SELECT tenant_id, count(*) FROM data.{table} GROUP BY 1 ORDER BY 1") == [
            ("a", 1), ("c", 2)], table


def letter(store, number, tenant, at, sent=True):
    store.query("owner", "INSERT INTO data.dead_letters (id, tenant_id, error_code, error_text, topic, partition,"
                         " record_offset, created_at, published_at) VALUES (gen_random_uuid(), %s, 'x', 'x', 't', 0,"
                         " %s, %s, CASE WHEN %s THEN now() END)", (tenant, number, at, sent))


def test_dead_letters_and_the_audit_log_end_by_age(store, upkeep):
    letter(store, 1, None, midnight(31))
    letter(store, 2, "c", midnight(31))
    letter(store, 3, "c", midnight(31), sent=False)
    letter(store, 4, "c", midnight(29))
    store.query("owner", "INSERT INTO control.audit_log (at, actor, address, action, kind, object) SELECT"
                         " now() - n * interval '10 days', 'x', 'x', 'x', 'x', 'old' FROM generate_series(1, 5) n")
    parts = {part[0]: part for part in upkeep.parts()}
    assert upkeep.expire(parts["dead_letters"], most=1, age="30 days") == 1
    assert upkeep.expire(parts["dead_letters"], age="30 days") == 1
    assert upkeep.expire(parts["dead_letters"], age="30 days") == 0
    assert store.query("owner", "SELECT record_offset FROM data.dead_letters ORDER BY 1") == [(3,), (4,)]
    assert upkeep.expire(parts["audit_log"], age="0 days") == 0
    assert upkeep.expire(parts["audit_log"], age="25 days") == 3
    assert upkeep.expire(parts["audit_log"], age="25 days") == 0
    assert store.query("owner", "SELECT count(*) FROM control.audit_log WHERE object = 'old'") == [(2,)]


@pytest.mark.parametrize("part", [("events", "control.api_keys", None, None), ("api_keys", "control.api_keys", None, None),
                                  ("events", "data.events; DROP TABLE data.events", None, None)])
def test_the_worker_can_expire_nothing_else(store, upkeep, part):
    assert upkeep.expire(part) == 0
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        store.query("tidegate_worker", "SELECT data.expire_rows('', '', '', 1)")


def test_without_a_shorter_retention_only_what_ends_by_age_is_looked_at(store):
    assert [part[0] for part in Upkeep(store).parts()] == ["dead_letters", "audit_log"]
