"""Random events, how the worker stores them, and what every aggregate of them must be."""

import collections
import datetime
import decimal
import uuid
from decimal import Decimal

decimal.getcontext().prec = 200  # the oracle must not round

UTC = datetime.timezone.utc
WIDTHS = {"minute": datetime.timedelta(minutes=1), "hour": datetime.timedelta(hours=1),
          "day": datetime.timedelta(days=1)}
EPOCH = datetime.datetime(2000, 1, 1, tzinfo=UTC)
VALUES = [None, 0.0, 0.1, 0.2, -0.3, 1e-7, 1e15, -1e15]

Event = collections.namedtuple("Event", "tenant type kind entity at value id", defaults=[None])


def floor(at, width):
    return at - (at - EPOCH) % width


def some_events(rng, count, oldest_hours=80, newest_hours=0, tenants="ab"):
    now = datetime.datetime.now(UTC)
    newest, oldest = newest_hours * 3600 * 10**6, oldest_hours * 3600 * 10**6
    return [Event(rng.choice(tenants), rng.choice(["order", "stream"]), rng.choice(["", "USD", "é"]),
                  rng.choice(["", "web", "shop"]),
                  now - datetime.timedelta(microseconds=rng.randrange(newest, oldest)),
                  rng.choice([*VALUES, rng.uniform(-1e3, 1e3)]),
                  uuid.UUID(int=rng.getrandbits(128)))
            for _ in range(count)]


def fold(events, level):
    """The oracle: (tenant, type, bucket, kind, entity) to count, value_count, sum, min, max."""
    groups = collections.defaultdict(list)
    for event in events:
        bucket = floor(event.at, WIDTHS[level])
        groups[event.tenant, event.type, bucket, event.kind, event.entity].append(event.value)
    result = {}
    for key, values in groups.items():
        numbers = [value for value in values if value is not None]
        result[key] = (len(values), len(numbers), sum(map(Decimal, map(repr, numbers)), Decimal(0)),
                       min(numbers, default=None), max(numbers, default=None))
    return result


def columns(rows, count):
    return [list(column) for column in zip(*rows)] or [[]] * count


def insert(cursor, events):
    """The ids that are new, with the worker's statement."""
    rows = sorted((e.tenant, e.type, str(e.id or uuid.uuid4()), e.at, e.kind, e.entity, e.value)
                  for e in events)
    cursor.execute(
        "INSERT INTO data.events (tenant_id, type, event_id, occurred_at, received_at, kind, entity, value)"
        " SELECT t, y, i, o, now(), k, e, v FROM unnest(%s::text[], %s::text[], %s::uuid[],"
        " %s::timestamptz[], %s::text[], %s::text[], %s::float8[]) AS q (t, y, i, o, k, e, v)"
        " ON CONFLICT DO NOTHING RETURNING event_id", columns(rows, 7))
    return {str(row[0]) for row in cursor.fetchall()}


def add_minutes(cursor, events):
    rows = [(*key, *cell) for key, cell in sorted(fold(events, "minute").items())]
    cursor.execute(
        "INSERT INTO data.metric_minute AS m (tenant_id, type, bucket, kind, entity, count,"
        " value_count, sum, min, max) SELECT t, y, b, k, e, c, n, s, lo, hi FROM unnest(%s::text[],"
        " %s::text[], %s::timestamptz[], %s::text[], %s::text[], %s::bigint[], %s::bigint[],"
        " %s::numeric[], %s::float8[], %s::float8[]) AS q (t, y, b, k, e, c, n, s, lo, hi)"
        " ON CONFLICT (tenant_id, type, bucket, kind, entity) DO UPDATE SET"
        " count = m.count + excluded.count, value_count = m.value_count + excluded.value_count,"
        " sum = m.sum + excluded.sum, min = least(m.min, excluded.min),"
        " max = greatest(m.max, excluded.max)", columns(rows, 10))


def write(connection, events):
    """One batch as the worker stores it: rows, minutes of the new ones, marks, one COMMIT."""
    cursor = connection.cursor()
    cursor.execute("SELECT data.ensure_days(%s::date[])",
                   (sorted({event.at.astimezone(UTC).date() for event in events}),))
    connection.commit()
    known = [event if event.id else event._replace(id=uuid.uuid4()) for event in events]
    ids = insert(cursor, known)
    new = list({event.id: event for event in known if str(event.id) in ids}.values())
    add_minutes(cursor, new)
    cursor.execute("INSERT INTO data.touched_hours (tenant_id, hour)"
                   " SELECT * FROM unnest(%s::text[], %s::timestamptz[])",
                   columns(sorted({(event.tenant, floor(event.at, WIDTHS["hour"])) for event in new}), 2))
    connection.commit()


def read(store, tenant, level, where=""):
    connection = store.connect("tidegate_query")
    cursor = connection.cursor()
    cursor.execute("SELECT set_config('tidegate.tenant', %s, true)", (tenant,))
    cursor.execute(f"SELECT tenant_id, type, bucket, kind, entity, count, value_count, sum, min, max"
                   f" FROM api.metric_{level} {where}")
    rows = cursor.fetchall()
    connection.close()
    result = {row[:5]: row[5:] for row in rows}
    assert len(result) == len(rows), "a series stands twice in one bucket"
    return result


def ids_of(store, tenant):
    connection = store.connect("tidegate_query")
    cursor = connection.cursor()
    cursor.execute("SELECT set_config('tidegate.tenant', %s, true)", (tenant,))
    cursor.execute("SELECT event_id, type, kind, entity, occurred_at, value FROM api.events")
    rows = sorted((str(row[0]), *row[1:5], repr(row[5])) for row in cursor.fetchall())
    connection.close()
    return rows
