"""Percentiles are within 1 % of numpy's (method "lower") and never stale: before, while and after hours are
binned, over any range, with late rows, for each tenant alone."""

import collections
import datetime
import threading
import uuid

import numpy
import psycopg2
import psycopg2.extras
import pytest
from upkeep import Upkeep

UTC = datetime.timezone.utc
HOUR = datetime.timedelta(hours=1)
FRACTIONS = [0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0]
EPOCH = 7

Event = collections.namedtuple("Event", "tenant type kind entity at value")


def hour_of(at):
    return at.replace(minute=0, second=0, microsecond=0)


def now():
    return datetime.datetime.now(UTC)


def bin_of(store, values):
    return [row[0] for row in store.query(
        "owner", "SELECT api.bin_of(v) FROM unnest(%s::float8[]) WITH ORDINALITY AS x (v, n) ORDER BY n",
        (list(values),))]


def write(store, connection, events, late=False):
    """One batch as the worker stores it; `late`: with its values in late_bins."""
    cursor = connection.cursor()
    cursor.execute("SELECT data.ensure_days(%s::date[])", (sorted({e.at.date() for e in events}),))
    connection.commit()
    psycopg2.extras.execute_values(
        cursor, "INSERT INTO data.events (tenant_id, type, event_id, occurred_at, received_at, kind,"
                " entity, value) VALUES %s",
        [(e.tenant, e.type, str(uuid.uuid4()), e.at, e.at, e.kind, e.entity, e.value)
         for e in events], page_size=5000)
    minutes = collections.defaultdict(list)
    for e in events:
        minutes[e.tenant, e.type, e.at.replace(second=0, microsecond=0), e.kind, e.entity].append(e.value)
    psycopg2.extras.execute_values(
        cursor, "INSERT INTO data.metric_minute AS m (tenant_id, type, bucket, kind, entity, count)"
                " VALUES %s ON CONFLICT (tenant_id, type, bucket, kind, entity)"
                " DO UPDATE SET count = m.count + excluded.count",
        [(*key, len(values)) for key, values in sorted(minutes.items())], page_size=5000)
    if late:
        with_value = [e for e in events if e.value is not None]
        bins = bin_of(store, [e.value for e in with_value])
        folded = collections.Counter((e.tenant, e.type, hour_of(e.at), e.kind, e.entity, number)
                                     for e, number in zip(with_value, bins))
        psycopg2.extras.execute_values(
            cursor, "INSERT INTO data.late_bins (tenant_id, type, hour, kind, entity, bin, count) VALUES %s",
            [(*key, count) for key, count in folded.items()])
    psycopg2.extras.execute_values(
        cursor, "INSERT INTO data.touched_hours (tenant_id, hour, late) VALUES %s",
        [(*key, late) for key in sorted({(e.tenant, hour_of(e.at)) for e in events})])
    connection.commit()


def bin_hours(cursor, step_rows=10**6, hour_rows=10**6, epoch=EPOCH):
    cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    cursor.execute("SELECT * FROM data.bin_hours(%s, %s, %s)", (epoch, step_rows, hour_rows))
    return cursor.fetchone()


def fold_late(cursor, limit=10**5, epoch=EPOCH):
    cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    cursor.execute("SELECT data.fold_late_bins(%s, %s)", (epoch, limit))
    return cursor.fetchone()[0]


class Maintenance:
    """The steps as the worker's role; time is helped along."""

    def __init__(self, store):
        self.store = store
        self.upkeep = Upkeep(store)
        self.cursor = store.connect("tidegate_worker", autocommit=True).cursor()
        store.query("owner", "INSERT INTO data.leases VALUES ('maintenance', 'me', %s, now())", (EPOCH,))

    def settle(self):
        """Long enough after whatever was written."""
        self.store.query("owner", "UPDATE data.unbinned_hours SET marked_at = marked_at - interval '1 h'")
        self.store.query("owner", "UPDATE data.late_bins SET added_at = added_at - interval '1 h'")

    def bin(self, **limits):
        self.upkeep.refresh_all()
        self.settle()
        done = bin_hours(self.cursor, **limits)
        self.cursor.execute("COMMIT")
        return done

    def fold(self):
        self.settle()
        folded = fold_late(self.cursor)
        self.cursor.execute("COMMIT")
        return folded


@pytest.fixture
def worker(store):
    return store.connect("tidegate_worker")


@pytest.fixture
def maintenance(store):
    return Maintenance(store)


def ask(store, tenant, edges, of_type="reading", fractions=FRACTIONS, **more):
    connection = store.connect("tidegate_query")
    cursor = connection.cursor()
    cursor.execute("SELECT set_config('tidegate.tenant', %s, true)", (tenant,))
    named = "".join(f", {name} => %({name})s" for name in more)
    cursor.execute(f"SELECT * FROM api.percentiles(%(of_type)s, %(edges)s::timestamptz[], %(fractions)s{named})",
                   dict(more, of_type=of_type, edges=edges, fractions=fractions))
    rows = cursor.fetchall()
    connection.close()
    return rows


def expected(events, tenant, edges, of_type="reading", kinds=None, entities=None, by_kind=False,
             by_entity=False):
    groups = collections.defaultdict(list)
    for e in events:
        if (e.tenant, e.type) != (tenant, of_type) or e.value is None:
            continue
        if (kinds is not None and e.kind not in kinds) or (entities is not None and e.entity not in entities):
            continue
        for start, end in zip(edges, edges[1:]):
            if start <= e.at < end:
                groups[start, e.kind if by_kind else None, e.entity if by_entity else None].append(e.value)
    return {(*key, len(values), fraction): float(numpy.quantile(values, fraction, method="lower"))
            for key, values in groups.items() for fraction in FRACTIONS}


def check(store, events, tenant, edges, **more):
    rows = ask(store, tenant, edges, **more)
    found = {row[:5]: row[5] for row in rows}
    assert len(found) == len(rows)
    exact = expected(events, tenant, edges, **more)
    assert found.keys() == exact.keys()
    wrong = {key: (exact[key], found[key]) for key in exact
             if abs(found[key] - exact[key]) > 0.01 * abs(exact[key]) * (1 + 1e-12)}
    assert not wrong
    return rows


DISTRIBUTIONS = {
    "lognormal": lambda rng, n: rng.lognormal(3, 1.5, n),
    "pareto": lambda rng, n: rng.pareto(1.1, n) + 1,
    "bimodal": lambda rng, n: numpy.where(rng.random(n) < 0.5, rng.normal(10, 1, n), rng.normal(1e4, 5, n)),
    "negative": lambda rng, n: -rng.lognormal(0, 4, n),
    "zero-heavy": lambda rng, n: numpy.where(rng.random(n) < 0.7, 0.0, rng.normal(0, 1e-3, n)),
}


def some_events(rng, draw, count, oldest_hours=20):
    base = now()
    values = draw(rng, count)
    seconds = rng.random(count) * oldest_hours * 3600
    picks = rng.integers(0, 12, count)
    return [Event("ab"[pick % 2], "reading" if pick else "order", ("heat", "wet", "")[pick % 3],
                  ("d1", "d2")[pick // 6], base - datetime.timedelta(seconds=float(second)),
                  None if pick == 7 else float(value))
            for value, second, pick in zip(values, seconds, picks)]


def ragged(rng):
    """Edges of two uneven buckets, not on whole hours."""
    back = sorted(rng.random(3) * 22, reverse=True)
    return [now() - HOUR * float(hours) for hours in back]


def questions(rng):
    top = hour_of(now()) + HOUR
    yield {"edges": ragged(rng), "kinds": ["wet"], "entities": ["d1"]}
    yield {"edges": ragged(rng), "by_kind": True}
    yield {"edges": [top - n * HOUR for n in range(21, -1, -1)], "by_kind": True, "by_entity": True}
    yield {"edges": [top - n * 6 * HOUR for n in range(4, -1, -1)], "kinds": ["heat", "wet"]}


def check_all(store, events, asked):
    """Every question to both tenants; the answers."""
    return [check(store, events, tenant, **question) for question in asked for tenant in "ab"]


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_answers_are_within_one_per_cent_whatever_maintenance_has_done(store, worker, maintenance, name):
    rng = numpy.random.default_rng(sorted(DISTRIBUTIONS).index(name))
    draw = DISTRIBUTIONS[name]
    events = some_events(rng, draw, 3000)
    asked = list(questions(rng))
    write(store, worker, events)
    before = check_all(store, events, asked)
    hours, values, *_ = maintenance.bin(step_rows=1200)
    assert 0 < hours < 40 and 0 < values < 3000
    assert check_all(store, events, asked) == before  # not only right: the same
    while maintenance.bin(step_rows=1200)[0] > 0:
        pass
    assert check_all(store, events, asked) == before
    for late in (True, False):
        batch = some_events(rng, draw, 40)
        write(store, worker, batch, late)
        events += batch
        after = check_all(store, events, asked)
        maintenance.upkeep.refresh_all()
        assert check_all(store, events, asked) == after
    maintenance.fold()
    assert check_all(store, events, asked) == after
    maintenance.bin()
    maintenance.fold()
    assert check_all(store, events, asked) == after


START = now()  # so that no test sees the hour change


def old_hour(back=5):
    return hour_of(START) - back * HOUR


def open_hour():
    return hour_of(now()) + HOUR


def readings(at, values, tenant="a", kind="heat", entity="d1"):
    return [Event(tenant, "reading", kind, entity, at + datetime.timedelta(seconds=n), float(value))
            for n, value in enumerate(values)]


def state(store):
    """Marks to be binned, late rows, hours with bins."""
    return store.query("owner", "SELECT (SELECT count(*) FROM data.unbinned_hours),"
                                " (SELECT count(*) FROM data.late_bins),"
                                " (SELECT count(DISTINCT (tenant_id, bucket)) FROM data.metric_hour_bins)")[0]


def test_an_hour_is_read_from_its_bins_once_it_has_them(store, worker, maintenance):
    events = readings(old_hour(), range(100))
    write(store, worker, events)
    assert maintenance.bin()[:2] == (1, 100)
    assert state(store) == (0, 0, 1)
    store.query("owner", "DELETE FROM data.events")  # the proof: nobody looks there
    check(store, events, "a", [old_hour() - HOUR, now()])


@pytest.mark.parametrize("late", [False, True])
def test_a_row_that_commits_while_its_hour_is_binned_is_neither_lost_nor_counted_twice(store, worker, maintenance,
                                                                                       late):
    edges = [old_hour(7), now()]
    events = readings(old_hour(), range(1, 50))
    write(store, worker, events)
    maintenance.upkeep.refresh_all()
    maintenance.settle()
    cursor = maintenance.cursor
    for batch in (readings(old_hour(), [1000, 2000]), readings(old_hour(), [5e5], kind="new")):
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT count(*) FROM data.events")  # the snapshot is taken here
        write(store, worker, batch, late)
        events += batch
        check(store, events, "a", edges)
        cursor.execute("SELECT * FROM data.bin_hours(%s, 1000000, 1000000)", (EPOCH,))
        assert cursor.fetchone()[0] == 1
        check(store, events, "a", edges)
        cursor.execute("COMMIT")
        rows = check(store, events, "a", edges)
        marks, late_rows, _ = state(store)
        assert late_rows == (len(batch) if late else 0)
        maintenance.upkeep.refresh_all()
        assert state(store)[0] == (0 if late else 1)
        assert check(store, events, "a", edges) == rows
        maintenance.settle()
        maintenance.fold()
        assert check(store, events, "a", edges) == rows
        store.query("owner", "INSERT INTO data.unbinned_hours (tenant_id, hour) VALUES ('a', %s)", (old_hour(),))
        maintenance.settle()
    maintenance.bin()
    check(store, events, "a", edges)


@pytest.mark.parametrize("late", [False, True])
def test_a_row_that_commits_while_late_rows_are_folded_stays(store, worker, maintenance, late):
    edges = [old_hour(7), now()]
    events = readings(old_hour(), range(1, 50))
    write(store, worker, events)
    maintenance.bin()
    first = readings(old_hour(), [100, 200])
    write(store, worker, first, late=True)
    maintenance.settle()
    cursor = maintenance.cursor
    cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    cursor.execute("SELECT count(*) FROM data.events")
    second = readings(old_hour(), [300, 400])
    write(store, worker, second, late)
    cursor.execute("SELECT data.fold_late_bins(%s, 1000)", (EPOCH,))
    assert cursor.fetchone() == (2,)
    rows = check(store, events + first + second, "a", edges)
    cursor.execute("COMMIT")
    assert check(store, events + first + second, "a", edges) == rows
    maintenance.bin()
    maintenance.fold()
    assert check(store, events + first + second, "a", edges) == rows
    assert state(store) == (0, 0, 1)


def test_answers_agree_with_the_rows_while_writers_and_maintenance_run(store, worker, maintenance):
    """Two writers add to the same old hours, in order and late; in one statement, percentiles must count what
    the events count."""
    hours = [old_hour(n) for n in (4, 5, 6)]
    write(store, worker, [e for hour in hours for e in readings(hour, range(1, 20))])
    failures, done = [], threading.Event()

    def add(late):
        connection = store.connect("tidegate_worker")
        rng = numpy.random.default_rng(int(late))
        try:
            for _ in range(40):
                write(store, connection, readings(hours[rng.integers(3)], rng.lognormal(0, 2, 3)), late)
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)

    def maintain():
        try:
            while not done.is_set():
                maintenance.bin()
                maintenance.fold()
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    writers = [threading.Thread(target=add, args=(late,)) for late in (False, True)]
    keeper = threading.Thread(target=maintain)
    reader = store.connect("tidegate_query", autocommit=True).cursor()
    reader.execute("SET tidegate.tenant = 'a'")
    sql = ("SELECT (SELECT count(*) FROM api.events WHERE type = 'reading' AND occurred_at >= %(low)s),"
           " (SELECT max(count) FROM api.percentiles('reading', ARRAY[%(low)s, %(high)s], '{0.5}'))")
    edges = {"low": hours[-1], "high": hour_of(now()) + HOUR}
    for thread in (*writers, keeper):
        thread.start()
    while any(thread.is_alive() for thread in writers):
        reader.execute(sql, edges)
        stored, counted = reader.fetchone()
        if stored != counted:
            failures.append(f"{stored} rows, {counted} counted")
    for thread in writers:
        thread.join()
    done.set()
    keeper.join()
    assert failures == []
    maintenance.bin()
    maintenance.fold()
    reader.execute(sql, edges)
    assert reader.fetchone() == (57 + 240, 57 + 240)
    assert state(store) == (0, 0, 3)


def test_sparse_hours_are_binned_before_dense_ones_and_too_dense_ones_never(store, worker, maintenance):
    sparse, dense = readings(old_hour(5), range(10)), readings(old_hour(6), range(3000))
    write(store, worker, dense)
    write(store, worker, sparse)
    assert maintenance.bin(step_rows=1) == (1, 10, 1, 0)
    assert maintenance.bin(hour_rows=2999) == (0, 0, 0, 1)
    check(store, sparse + dense, "a", [old_hour(7), now()])
    assert maintenance.bin(hour_rows=3000) == (1, 3000, 0, 0)
    check(store, sparse + dense, "a", [old_hour(7), now()])


def test_an_hour_is_binned_only_when_closed_and_at_rest(store, worker, maintenance):
    fresh, full = readings(open_hour(), [1, 2]), readings(old_hour(), range(1000))
    write(store, worker, fresh + full)
    maintenance.upkeep.refresh_all()
    store.query("owner", "UPDATE data.unbinned_hours SET marked_at = now() + interval '1 minute'")
    bin_hours(maintenance.cursor)
    maintenance.cursor.execute("COMMIT")
    assert state(store) == (1, 0, 0)
    assert maintenance.bin()[:2] == (1, 1000)
    assert state(store) == (0, 0, 1)
    check(store, fresh + full, "a", [old_hour(7), now() + 2 * HOUR])


def test_folded_marks_of_an_open_hour_leave_nothing_behind(store, worker, maintenance):
    hour = open_hour()
    for _ in range(5):
        write(store, worker, readings(hour, [1]))
        maintenance.upkeep.refresh_all()
    assert state(store)[0] == 0


@pytest.mark.parametrize("call", ["bin_hours(8, 10, 10)", "fold_late_bins(8, 10)"])
def test_only_the_holder_of_the_lease_may_bin(store, maintenance, call):
    maintenance.cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    with pytest.raises(psycopg2.errors.LockNotAvailable):
        maintenance.cursor.execute(f"SELECT data.{call}")
    maintenance.cursor.execute("ROLLBACK")
    with pytest.raises(psycopg2.errors.ActiveSqlTransaction):
        maintenance.cursor.execute(f"SELECT data.{call.replace('8', str(EPOCH))}")


def test_a_lease_cannot_be_taken_over_during_a_step(store, maintenance):
    bin_hours(maintenance.cursor)
    with pytest.raises(psycopg2.errors.LockNotAvailable):
        store.query("owner", "SET lock_timeout = '100ms'; UPDATE data.leases SET epoch = epoch + 1")
    maintenance.cursor.execute("COMMIT")
    store.query("owner", "UPDATE data.leases SET epoch = epoch + 1")


def test_extremes_keep_their_order_and_break_nothing(store, worker, maintenance):
    values = [-1.7976931348623157e308, -1e141, -1.0, -1e-139, -5e-324, 0.0, 5e-324, 1e-139, 1.0, 1e140,
              1.7976931348623157e308]
    bins = bin_of(store, values)
    assert bins == sorted(bins)
    assert (bins[0], bins[4:7], bins[-1]) == (-32767, [0, 0, 0], 32767)
    special = store.query("owner", "SELECT api.bin_of('NaN'), api.bin_of('Infinity'), api.bin_of('-Infinity')")
    assert special == [(32767, 32767, -32767)]
    write(store, worker, readings(old_hour(), values))
    edges = [old_hour(7), now()]
    before = ask(store, "a", edges)
    assert maintenance.bin()[1] == len(values)
    assert ask(store, "a", edges) == before
    assert before[0][5] == pytest.approx(-7.8e140, rel=0.01) and before[-1][5] == pytest.approx(7.8e140, rel=0.01)


def test_every_bin_reads_as_a_value_within_one_per_cent_of_its_ends(store):
    worst = store.query("owner", """
        SELECT max(abs(api.bin_value(api.bin_of(v)) / v - 1)), bool_and(api.bin_of(-v) = -api.bin_of(v))
        FROM (SELECT power(1.02::float8, n) * (1 + e) AS v FROM generate_series(-16000, 16000, 7) AS n,
              unnest(ARRAY[0, 1e-12, -1e-12, 0.005]) AS e) x""")
    assert worst[0][0] <= 0.00991 and worst[0][1]


def test_many_scattered_unbinned_hours_are_read_in_few_ranges(store, worker, maintenance):
    hours = [hour_of(now()) - n * HOUR for n in range(4, 104)]
    events = [e for n, hour in enumerate(hours) for e in readings(hour, [n + 1, n + 2])]
    write(store, worker, events)
    assert maintenance.bin()[0] == len(hours)
    for hour in hours[::2]:
        store.query("owner", "INSERT INTO data.unbinned_hours (tenant_id, hour) VALUES ('a', %s)", (hour,))
    check(store, events, "a", [hours[-1], now()])
    check(store, events, "a", [hours[-1] + HOUR / 3, hours[30] + HOUR / 7, now()])


# --- tenants ---

def test_a_tenant_sees_its_own_values_only(store, worker, maintenance):
    events = readings(old_hour(), range(1, 30)) + readings(old_hour(), range(1000, 1050), tenant="b")
    late = readings(old_hour(), [7], tenant="b") + readings(old_hour(3), [3000], tenant="b")
    write(store, worker, events)
    maintenance.bin()
    write(store, worker, late, late=True)
    write(store, worker, readings(hour_of(now()), [9], tenant="b"))
    edges = [old_hour(7), now() + HOUR]
    check(store, events + late, "a", edges)
    assert ask(store, "c", edges) == ask(store, "", edges) == []
    reader = store.connect("tidegate_query", autocommit=True).cursor()
    for tenant, hours in (("a", 0), ("b", 1), ("", 0)):
        reader.execute("SELECT set_config('tidegate.tenant', %s, false)", (tenant,))
        reader.execute("SELECT hour FROM api.unbinned_hours")
        assert len(reader.fetchall()) == hours
        for view, rows in (("metric_hour_bins", "ab".count(tenant) if tenant else 0),
                           ("metric_hour_kind_bins", "ab".count(tenant) if tenant else 0),
                           ("late_bins", 2 * hours)):
            reader.execute(f"SELECT * FROM api.{view}")
            assert len(reader.fetchall()) == rows, (view, tenant)


def test_a_leaky_condition_is_handed_the_tenants_rows_only(store, worker, maintenance):
    for tenant, back in (("a", 5), ("b", 6)):
        write(store, worker, readings(old_hour(back), range(1, 30), tenant=tenant))
    maintenance.bin()
    for tenant, back in (("a", 5), ("b", 6)):
        write(store, worker, readings(old_hour(back), [1], tenant=tenant), late=True)
        write(store, worker, readings(old_hour(back + 2), [1], tenant=tenant))
        write(store, worker, readings(old_hour(back + 4), [1], tenant=tenant))
        maintenance.upkeep.refresh_all()  # leaves a mark of either kind
        write(store, worker, readings(old_hour(back + 4), [1], tenant=tenant))
    connection = store.connect("tidegate_query")
    cursor = connection.cursor()
    cursor.execute("CREATE FUNCTION pg_temp.leak(timestamptz) RETURNS boolean LANGUAGE plpgsql COST 0.0001"
                   " AS $$ BEGIN RAISE NOTICE '%', extract(epoch FROM $1)::bigint; RETURN true; END $$")
    cursor.execute("SET LOCAL tidegate.tenant = 'a'")
    for method in ("indexscan", "indexonlyscan", "bitmapscan"):  # an index would hide a leak
        cursor.execute(f"SET LOCAL enable_{method} = off")
    for view, column, hours in (("metric_hour_bins", "bucket", {5}), ("metric_hour_kind_bins", "bucket", {5}),
                                ("late_bins", "hour", {5}), ("unbinned_hours", "hour", {7, 9})):
        connection.notices.clear()
        cursor.execute(f"SELECT count(*) FROM api.{view} WHERE pg_temp.leak({column})")
        assert cursor.fetchone()[0] >= len(hours)
        assert {int(notice.split()[-1]) for notice in connection.notices} == {
            int(old_hour(hour).timestamp()) for hour in hours}, view


def test_an_sql_login_gets_percentiles_of_its_tenant_whatever_it_sets(store, worker, maintenance):
    events = readings(old_hour(), range(1, 30)) + readings(old_hour(), range(1000, 1050), tenant="b")
    write(store, worker, events)
    maintenance.bin()
    login = f"login_{uuid.uuid4().hex[:8]}"
    admin = store.connect("postgres", autocommit=True).cursor()
    admin.execute(f"CREATE ROLE {login} LOGIN; GRANT tidegate_sql TO {login};"
                  f" INSERT INTO control.tenants (id) VALUES ('a');"
                  f" INSERT INTO control.sql_logins VALUES ('{login}', 'a')")
    try:
        rows = store.query(login, "SET tidegate.tenant = 'b'; SELECT count, value FROM"
                                  " api.percentiles('reading', ARRAY[%s, %s], '{1}')",
                           (old_hour(7), now()))
        assert rows == [(29, pytest.approx(29, rel=0.01))]
    finally:
        admin.execute(f"DROP OWNED BY {login}; DROP ROLE {login}")


TABLES = ("data.metric_hour_bins", "data.metric_hour_kind_bins", "data.late_bins", "data.unbinned_hours")


DENIED = [
    *[("tidegate_query", f"SELECT * FROM {table}") for table in TABLES],
    *[("tidegate_worker", f"DELETE FROM {table}") for table in TABLES],
    *[("tidegate_gateway", f"SELECT * FROM {table}") for table in TABLES],
    ("tidegate_query", "SELECT data.bin_hours(7, 1, 1)"),
    ("tidegate_worker", "SELECT data.bin_hour('a', now())"),
    ("tidegate_gateway", "SELECT api.percentiles('reading', ARRAY[now(), now() + '1 h'], '{1}')"),
]


def test_nobody_else_reads_or_writes_the_bins(store):
    for role, sql in DENIED:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            store.query(role, sql)
            raise AssertionError(f"{role}: {sql}")


SENSELESS = [
    ("{}", "{0.5}"), ("{2026-01-01}", "{0.5}"), ("{2026-01-02,2026-01-01}", "{0.5}"),
    ("{2026-01-01,2026-01-01}", "{0.5}"), ("{2026-01-01,infinity}", "{0.5}"), ("{2026-01-01,NULL}", "{0.5}"),
    ("{2026-01-01,2026-01-02}", "{}"), ("{2026-01-01,2026-01-02}", "{1.01}"),
    ("{2026-01-01,2026-01-02}", "{-0.1}"), ("{2026-01-01,2026-01-02}", "{NULL}"),
    ("{2026-01-01,2026-01-02}", "{NaN}")]


def test_senseless_edges_and_fractions_are_refused(store):
    for edges, fractions in SENSELESS:
        with pytest.raises(psycopg2.errors.InvalidParameterValue):
            store.query("tidegate_query", "SELECT api.percentiles('reading', %s::timestamptz[], %s::float8[])",
                        (edges, fractions))
            raise AssertionError(f"{edges} {fractions}")
