"""The database: statements, one tenant's rows, and the check that every aggregate is the fold of the rows."""

import collections

import psycopg2
import psycopg2.extras

from lib.waiting import until

psycopg2.extras.register_uuid()

Row = collections.namedtuple(
    "Row", "type event_id occurred_at received_at processed_at kind entity user_id value payload")
Cell = collections.namedtuple("Cell", "count value_count sum min max")

LEVELS = ("minute", "hour", "day")


class Database:
    """Each statement in a transaction of its own; connects anew after the server was away."""

    def __init__(self, dsn):
        self.dsn = dsn
        self.connection = None

    def cursor(self):
        if self.connection is None or self.connection.closed:
            self.connection = psycopg2.connect(self.dsn)
            self.connection.autocommit = True
            self.connection.cursor().execute("SET timezone = 'UTC'")
        return self.connection.cursor()

    def rows(self, sql, *params):
        try:
            return self._rows(sql, params)
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            self.connection.close()  # of before a restart
            return self._rows(sql, params)

    def _rows(self, sql, params):
        with self.cursor() as cursor:
            cursor.execute(sql, params)
            return cursor.fetchall() if cursor.description else []

    def one(self, sql, *params):
        """The only cell of the only row."""
        (row,) = self.rows(sql, *params)
        (cell,) = row
        return cell

    def close(self):
        if self.connection is not None:
            self.connection.close()


class Store:
    """`owner` sees everything; `reader` is the query service's role."""

    def __init__(self, owner_dsn, reader_dsn):
        self.owner = Database(owner_dsn)
        self.reader_dsn = reader_dsn

    def engine(self):
        version = self.owner.one("SELECT current_setting('server_version')")
        timescale = self.owner.rows("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
        return f"TimescaleDB {timescale[0][0]} on PostgreSQL {version}" if timescale else (
            f"plain PostgreSQL {version}")

    def count(self, tenant):
        return self.owner.one("SELECT count(*) FROM data.events WHERE tenant_id = %s", tenant)

    def events(self, tenant):
        return [Row(*row) for row in self.owner.rows(
            f"SELECT {', '.join(Row._fields)} FROM data.events WHERE tenant_id = %s"
            " ORDER BY occurred_at, type, event_id", tenant)]

    def wait_for(self, tenant, count, seconds=15):
        """Waits for exactly `count` rows; the rows."""
        def enough():
            stored = self.count(tenant)
            assert stored >= count, f"{stored} of {count} rows"
            return True
        until(enough, seconds, f"{count} rows of {tenant}", every=0.05)
        rows = self.events(tenant)
        assert len(rows) == count, f"{len(rows)} rows, {count} expected"
        return rows

    def fold(self, tenant, level):
        """What an aggregate must hold: computed from the rows, the sum exactly."""
        return {tuple(row[:4]): Cell(*row[4:]) for row in self.owner.rows(
            "SELECT type, date_trunc(%s, occurred_at, 'UTC'), kind, entity, count(*), count(value),"
            " coalesce(sum(value::text::numeric), 0), min(value), max(value)"
            " FROM data.events WHERE tenant_id = %s GROUP BY 1, 2, 3, 4", level, tenant)}

    def level(self, tenant, level):
        """The aggregate as the query service sees it."""
        connection = psycopg2.connect(self.reader_dsn)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('tidegate.tenant', %s, true),"
                               " set_config('statement_timeout', '60s', true)", (tenant,))
                cursor.execute(f"SELECT type, bucket, kind, entity, {', '.join(Cell._fields)}"
                               f" FROM api.metric_{level}")
                rows = cursor.fetchall()
        finally:
            connection.close()
        cells = {tuple(row[:4]): Cell(*row[4:]) for row in rows}
        assert len(cells) == len(rows), f"a series has two rows in one bucket of api.metric_{level}"
        return cells

    def offsets(self):
        """(topic, partition) -> the next offset to store"""
        return {(topic, number): offset or 0 for topic, number, offset in self.owner.rows(
            "SELECT topic, partition, next_offset FROM data.consumer_offsets")}

    def wait_drained(self, topics, seconds=20):
        """Waits until the worker has been over everything that is in the topics now."""
        ends = {(topic, number): end for topic in topics.of_events()
                for number, end in enumerate(topics.ends(topic))}

        def passed():
            offsets = self.offsets()
            behind = {key: (offsets.get(key), end) for key, end in ends.items()
                      if offsets.get(key, 0) < end}
            assert not behind, f"behind (stored, end): {sample(behind)}"
            return True
        until(passed, seconds, "the worker has stored all topics")

    def free_lease(self):
        """As if the time of whoever has the upkeep, perhaps a worker that was killed, had run out."""
        self.owner.rows("UPDATE data.leases SET expires_at = now() WHERE name = 'maintenance'")

    def viewers(self, tenant):
        """(running state by stream, what the stored events say it is)"""
        state = dict(self.owner.rows(
            "SELECT entity, value FROM data.stream_state WHERE tenant_id = %s AND type = 'stream'"
            " AND name = 'active_viewers'", tenant))
        told = dict(self.owner.rows(
            "SELECT entity, sum(CASE kind WHEN 'viewer_join' THEN 1 WHEN 'viewer_leave' THEN -1 END)"
            " FROM data.events WHERE tenant_id = %s AND type = 'stream'"
            " AND kind IN ('viewer_join', 'viewer_leave') GROUP BY 1", tenant))
        return state, told

    def check_folds(self, tenant):
        """Every aggregate level and the running states are exactly what the rows say."""
        for level in LEVELS:
            expected, found = self.fold(tenant, level), self.level(tenant, level)
            wrong = {key: (expected.get(key), found.get(key)) for key in expected.keys() | found.keys()
                     if expected.get(key) != found.get(key)}
            assert not wrong, f"metric_{level}: {len(wrong)} cells differ (rows, stored): {sample(wrong)}"
        state, told = self.viewers(tenant)
        assert {key: state.get(key, 0) for key in told} == told

    def check_ledger(self, tenant, ledger, seconds=30):
        """Each acknowledged event is there once, nothing else is, and all aggregates agree. The
        ledger: event id -> (type, kind, entity, value)."""
        until(lambda: self.count(tenant) >= len(ledger), seconds, f"{len(ledger)} rows of {tenant}",
              every=0.1)
        rows = self.events(tenant)
        times = collections.Counter(row.event_id for row in rows)
        assert [event for event, n in times.items() if n > 1] == [], "events stored twice"
        assert sample(ledger.keys() - times.keys()) == [], "acknowledged, but not stored"
        assert sample(times.keys() - ledger.keys()) == [], "stored, but never acknowledged"
        wrong = [(row, ledger[row.event_id]) for row in rows
                 if (row.type, row.kind, row.entity, row.value) != ledger[row.event_id]]
        assert sample(wrong) == [], "stored with other content"
        self.check_folds(tenant)


def sample(items, most=3):
    return list(items.items() if isinstance(items, dict) else items)[:most]
