"""Records that no ingestion of ours wrote, straight into the topic: each becomes a dead letter with all
of its context, in the table and in the topic, and the partition moves on."""

import base64
import collections
import datetime
import struct
import uuid

import pytest
from lib import events, metrics
from lib.tenants import Tenant
from lib.topics import fixed_header, framed, headers, micros
from lib.waiting import until

TOPIC = "events.order"
DLQ_PARTITIONS = 3

Poison = collections.namedtuple("Poison", "value headers code knows_tenant")
DeadLetter = collections.namedtuple(
    "DeadLetter", "id tenant_id type event_id error_code error_text record_key record_value headers"
                  " published_at replayed_at")


def text(value):
    raw = value.encode()
    assert len(raw) < 64
    return bytes([2 * len(raw)]) + raw


def zigzag(number):
    number = number << 1 ^ number >> 63
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def order_body(moment, name="o-1", amount=5.5, currency="USD"):
    """An order in Avro by hand: two unions with null, of which the value's branch is the second."""
    return (b"\x02" + text(name) + text("c") + struct.pack("<d", amount) + text(currency) + text("web")
            + b"\x02" + zigzag(micros(moment)))


@pytest.fixture(scope="module")
def schema_id(demo):
    return demo.read("/v2/registry/subjects/order-value/versions/latest")["id"]


@pytest.fixture(scope="module")
def tenant(stack, store):
    return Tenant(stack, store)


def poison(kind, tenant, schema_id):
    """One wrong record of a kind."""
    now = events.now()
    good = framed(schema_id, order_body(now))
    named = headers(tenant.id, "order", now)
    without = lambda *names: [pair for pair in named if pair[0] not in names]
    with_header = lambda name, value: [*without(name), (name, value)]
    far = now - datetime.timedelta(days=500)
    return {
        "garbage": Poison(b"\xde\xad\xbe\xef" * 20, named, "bad_framing", True),
        "garbage without headers": Poison(b"garbage", [], "bad_headers", False),
        "empty": Poison(b"", named, "bad_framing", True),
        "null": Poison(None, named, "bad_framing", True),
        "wrong magic byte": Poison(b"\x01" + good[1:], named, "bad_framing", True),
        "short frame": Poison(good[:4], named, "bad_framing", True),
        "unknown schema id": Poison(framed(999999, good[5:]), named, "unknown_schema", True),
        "no body": Poison(good[:5], named, "undecodable", True),
        "truncated": Poison(good[:-3], named, "undecodable", True),
        "trailing bytes": Poison(good + b"x", named, "undecodable", True),
        "huge length": Poison(framed(schema_id, b"\x02" + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
                              named, "undecodable", True),
        "not a number": Poison(framed(schema_id, order_body(now, amount=float("nan"))), named,
                               "undecodable", True),
        "NUL in the kind": Poison(framed(schema_id, order_body(now, currency="U\0D")), named,
                                  "undecodable", True),
        "bad UTF-8": Poison(good.replace(b"USD", b"U\xffD"), named, "undecodable", True),
        "missing headers": Poison(good, [], "bad_headers", False),
        "no tenant": Poison(good, without("tg-tenant"), "bad_headers", False),
        "no event header": Poison(good, without("tg-event"), "bad_headers", False),
        "short event header": Poison(good, with_header("tg-event", b"123"), "bad_headers", False),
        "bad tenant": Poison(good, with_header("tg-tenant", b"../x"), "bad_headers", False),
        "bad time": Poison(good, with_header("tg-event", fixed_header(uuid.uuid4(), 2**63 - 1)), "bad_headers", False),
        "older than the store": Poison(good, with_header("tg-event", fixed_header(uuid.uuid4(), micros(far))),
                                       "refused_by_store", True),
    }[kind]


KINDS = ("garbage", "garbage without headers", "empty", "null", "wrong magic byte", "short frame",
         "unknown schema id", "no body", "truncated", "trailing bytes", "huge length", "not a number",
         "NUL in the kind", "bad UTF-8", "missing headers", "no tenant", "no event header",
         "short event header", "bad tenant", "bad time", "older than the store")


def put_good(topics, tenant, schema_id, partition, name):
    """A good record of our own making; the id of its row."""
    now = events.now()
    event_id = uuid.uuid4()
    topics.put(TOPIC, partition, framed(schema_id, order_body(now, name)),
               headers(tenant.id, "order", now, event_id))
    return event_id


def dead_letter(store, partition, offset):
    rows = store.owner.rows(f"SELECT {', '.join(DeadLetter._fields)} FROM data.dead_letters WHERE topic = %s"
                            " AND partition = %s AND record_offset = %s", TOPIC, partition, offset)
    return DeadLetter(*rows[0]) if rows else None


@pytest.mark.parametrize("kind", KINDS)
def test_poison_is_a_dead_letter_and_the_partition_moves_on(tenant, topics, store, schema_id, kind):
    wrong = poison(kind, tenant, schema_id)
    partition, key = KINDS.index(kind) % 6, f"key of {kind}".encode()
    before = put_good(topics, tenant, schema_id, partition, "before")
    offset = topics.put(TOPIC, partition, wrong.value, wrong.headers, key)
    after = put_good(topics, tenant, schema_id, partition, "after")

    until(lambda: {before, after} <= {row.event_id for row in tenant.events()}, 10,
          "the good events before and after it are stored")
    tenant.check_folds()

    letter = until(lambda: dead_letter(store, partition, offset), 5, "the dead letter")
    assert letter.error_code == wrong.code, letter.error_text
    assert letter.error_text
    assert bytes(letter.record_key) == key
    assert bytes(letter.record_value or b"") == (wrong.value or b"")
    assert [(header["name"], base64.b64decode(header["value"])) for header in letter.headers] == [
        (name, value if isinstance(value, bytes) else value.encode()) for name, value in wrong.headers]
    assert letter.replayed_at is None
    given = dict(wrong.headers)
    assert (letter.tenant_id, letter.type) == ((tenant.id, "order") if wrong.knows_tenant else (None, None))
    assert letter.event_id == (uuid.UUID(bytes=given["tg-event"][:16]) if wrong.knows_tenant else None)
    check_published(topics, letter, partition, offset, wrong, key)
    until(lambda: dead_letter(store, partition, offset).published_at, 5, "it is marked as published")


def check_published(topics, letter, partition, offset, wrong, key):
    """The same in events.dlq: the bytes as they were, the error's context in front of the headers."""
    record = topics.find("events.dlq", "tg-dlq-id", str(letter.id).encode(), DLQ_PARTITIONS)
    assert (record.key(), record.value() or b"") == (key, wrong.value or b"")
    context = [("tg-dlq-id", str(letter.id)), ("tg-dlq-topic", TOPIC), ("tg-dlq-partition", str(partition)),
               ("tg-dlq-offset", str(offset)), ("tg-dlq-code", letter.error_code),
               ("tg-dlq-text", letter.error_text)]
    assert [(name, value.decode()) for name, value in record.headers()[:6]] == context
    assert [(name, value) for name, value in record.headers()[6:]] == [
        (name, value if isinstance(value, bytes) else value.encode()) for name, value in wrong.headers]


def test_poison_among_many_costs_only_itself(tenant, topics, store, schema_id):
    """Rows that the store refuses, scattered in one batch: the worker singles them out."""
    now, good, bad = events.now(), set(), []
    already = store.count(tenant.id)
    for number in range(300):
        if number % 60 == 30:
            wrong = poison("older than the store", tenant, schema_id)
            bad.append(topics.put(TOPIC, 0, wrong.value, wrong.headers))
        else:
            event_id = uuid.uuid4()
            good.add(event_id)
            topics.producer.produce(TOPIC, framed(schema_id, order_body(now, f"o-{number}")), partition=0,
                                    headers=headers(tenant.id, "order", now, event_id))
    topics.producer.flush(10)
    assert good <= {row.event_id for row in tenant.wait_for(already + len(good))}
    tenant.check_folds()
    assert all(dead_letter(store, 0, offset).error_code == "refused_by_store" for offset in bad)


def test_a_dead_letter_shows_in_the_metrics(stack, topics, store, tenant, schema_id):
    framing = 'tidegate_worker_dead_letters_total{reason="framing"}'
    before = metrics.read(stack.admin("worker"))[framing]
    offset = topics.put(TOPIC, 1, b"garbage", headers(tenant.id, "order", events.now()))
    until(lambda: dead_letter(store, 1, offset), 5, "the dead letter")
    assert metrics.read(stack.admin("worker"))[framing] == before + 1
