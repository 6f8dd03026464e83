"""The judge of the ledger test: what was sent and answered against what is stored. Pure: it asks no database and no
clock, so its own tests can feed it every kind of violation (tests/faults/ledger/test_check.py).

Every event has a `mark`, a text of its own that travels in the user (or, for readings, in the unit), so
that a row can be traced to the one sending it came from whatever happened to its id."""

import collections
import dataclasses
import datetime
import decimal
import uuid

Violation = collections.namedtuple("Violation", "kind text")
Row = collections.namedtuple("Row", "tenant type mark event_id occurred_at kind entity value")
Cell = collections.namedtuple("Cell", "count value_count sum min max")
Letter = collections.namedtuple("Letter", "topic partition offset tenant code")

KINDS = ("lost", "doubled", "never sent", "foreign", "changed", "identity", "time", "answer", "aggregate", "state",
         "dead letter")
LEVELS = ("minute", "hour", "day")
STATES = {("stream", "active_viewers"): {"viewer_join": 1, "viewer_leave": -1}}
SHOWN = 5  # of each kind, in a report


@dataclasses.dataclass
class Sent:
    """One event of a client: what it said, and what it was told."""
    tenant: str
    type: str
    kind: str
    entity: str
    value: float
    time: datetime.datetime = None   # None: the time is the store's own
    event_id: uuid.UUID = None       # None: only the answer tells it
    first_sent: datetime.datetime = None
    last_answer: datetime.datetime = None
    told: set = dataclasses.field(default_factory=set)  # the ids of the answers that acknowledged it


@dataclasses.dataclass
class Ledger:
    """What the clients and the writer of garbage know."""
    sent: dict = dataclasses.field(default_factory=dict)      # mark -> Sent
    letters: set = dataclasses.field(default_factory=set)     # Letter of each record of garbage that Kafka took
    answers: list = dataclasses.field(default_factory=list)   # answers that no promise allows, as text

    @property
    def acknowledged(self):
        return {mark: sent for mark, sent in self.sent.items() if sent.told}


@dataclasses.dataclass
class Observed:
    """What is stored. `cells` and `states` are lists, so that a key that comes twice is seen; a source is what
    was read: "data.metric_minute", or "api.metric_hour" as one tenant."""
    rows: list = dataclasses.field(default_factory=list)
    cells: dict = dataclasses.field(default_factory=dict)   # (source, level, tenant) -> [(key, Cell)]
    seen: dict = dataclasses.field(default_factory=dict)    # tenant -> {tenants of the rows that it can read}
    states: list = dataclasses.field(default_factory=list)  # ((tenant, type, entity, name), value)
    letters: list = dataclasses.field(default_factory=list)
    published: set = dataclasses.field(default_factory=set)  # (topic, partition, offset) in the dead-letter topic


def bucket(moment, level):
    """The start of the minute, hour or day (UTC) of a moment."""
    zeros = {"minute": {}, "hour": {"minute": 0}, "day": {"minute": 0, "hour": 0}}[level]
    return moment.replace(second=0, microsecond=0, **zeros)


def fold(rows, level):
    """What an aggregate of these rows must hold: (type, bucket, kind, entity) -> Cell, the sum exactly."""
    values = collections.defaultdict(list)
    for row in rows:
        values[row.type, bucket(row.occurred_at, level), row.kind, row.entity].append(row.value)
    cells = {}
    for key, all_values in values.items():
        numbers = [value for value in all_values if value is not None]
        cells[key] = Cell(len(all_values), len(numbers), sum(map(exact, numbers), decimal.Decimal(0)),
                          min(numbers, default=None), max(numbers, default=None))
    return cells


def exact(value):
    """A double as the number that its shortest decimal form says."""
    return decimal.Decimal(repr(float(value)))


def fold_states(rows):
    """(tenant, type, entity, name) -> value"""
    states = collections.Counter()
    for row in rows:
        for (event_type, name), deltas in STATES.items():
            if row.type == event_type and row.kind in deltas:
                states[row.tenant, row.type, row.entity, name] += deltas[row.kind]
    return dict(states)


def check(ledger, observed):
    """All violations, empty when every promise was kept."""
    return [*(Violation("answer", text) for text in ledger.answers), *check_rows(ledger, observed.rows),
            *check_isolation(observed.seen), *check_cells(observed), *check_states(observed),
            *check_letters(ledger, observed)]


def check_rows(ledger, rows):
    """Acknowledged ⊆ stored ⊆ sent, each once, each as it was sent, each its tenant's."""
    stored = collections.defaultdict(list)
    for row in rows:
        stored[row.mark].append(row)
    for mark, found in stored.items():
        sent = ledger.sent.get(mark)
        if sent is None:
            yield Violation("never sent", f"{mark}: {found}")
            continue
        if len(found) > 1:
            yield Violation("doubled", f"{mark}: {sent} is stored as {found}")
        for row in found:
            yield from check_row(mark, sent, row)
    for mark, sent in ledger.acknowledged.items():
        if mark not in stored:
            yield Violation("lost", f"{mark}: {sent}")
        if len(sent.told) > 1:
            yield Violation("identity", f"{mark}: its answers name several ids: {sent}")


def check_row(mark, sent, row):
    if row.tenant != sent.tenant:
        yield Violation("foreign", f"{mark}: {sent} is stored as {row}")
    if (row.type, row.kind, row.entity, row.value) != (sent.type, sent.kind, sent.entity, sent.value):
        yield Violation("changed", f"{mark}: {sent} is stored as {row}")
    ids = sent.told | ({sent.event_id} if sent.event_id else set())
    if ids - {row.event_id}:
        yield Violation("identity", f"{mark}: {sent} is stored as {row}")
    if not time_fits(sent, row.occurred_at):
        yield Violation("time", f"{mark}: {sent} is stored as {row}")


def time_fits(sent, stored):
    """A client's time is kept to the microsecond; ours lies between the first sending and the last answer."""
    if sent.time is not None:
        return stored == sent.time
    return sent.first_sent <= stored and (sent.last_answer is None or not sent.told or stored <= sent.last_answer)


def check_isolation(seen):
    for tenant, tenants in seen.items():
        if tenants - {tenant}:
            yield Violation("foreign", f"{tenant} can read rows of {sorted(tenants - {tenant})}")


def check_cells(observed):
    """Each aggregate, from each place it is read from, is the fold of the rows."""
    by_tenant = collections.defaultdict(list)
    for row in observed.rows:
        by_tenant[row.tenant].append(row)
    for (source, level, tenant), pairs in observed.cells.items():
        cells = dict(pairs)
        name = f"{source} ({level}) of {tenant}"
        if len(cells) != len(pairs):
            yield Violation("aggregate", f"{name}: a series has two rows in one bucket")
        expected = fold(by_tenant[tenant], level)
        for key in expected.keys() | cells.keys():
            if expected.get(key) != cells.get(key):
                yield Violation("aggregate", f"{name} {key}: the rows say {expected.get(key)}, "
                                             f"it says {cells.get(key)}")


def check_states(observed):
    """A running state that came back to 0 may be there or not."""
    expected, found = fold_states(observed.rows), dict(observed.states)
    if len(found) != len(observed.states):
        yield Violation("state", "an entity has two rows of one state")
    for key in expected.keys() | found.keys():
        if expected.get(key, 0) != found.get(key, 0):
            yield Violation("state", f"{key}: the rows say {expected.get(key, 0)}, it says {found.get(key, 0)}")


def check_letters(ledger, observed):
    """Each record of garbage is a dead letter once, under its tenant if it said one, and was published; nothing
    else is a dead letter."""
    times = collections.Counter(observed.letters)
    for letter in ledger.letters - times.keys():
        yield Violation("dead letter", f"missing: {letter}")
    for letter, count in times.items():
        if letter not in ledger.letters:
            yield Violation("dead letter", f"of a record that was good, or told wrongly: {letter}")
        if count > 1:
            yield Violation("dead letter", f"{count} times: {letter}")
    for letter in ledger.letters:
        if (letter.topic, letter.partition, letter.offset) not in observed.published:
            yield Violation("dead letter", f"not in the dead-letter topic: {letter}")


def report(violations):
    """A text for people: how many of each kind, and the first few."""
    lines = []
    for kind in KINDS:
        texts = [violation.text for violation in violations if violation.kind == kind]
        if texts:
            lines.append(f"{kind}: {len(texts)}")
            lines.extend(f"    {text}" for text in texts[:SHOWN])
    return "\n".join(lines)
