"""What is the same event: sent again, at once, with or without a time, or read again from Kafka."""

import concurrent.futures
import datetime
import socket
import uuid

from lib import events
from lib.api import Api
from lib.load import Load
from lib.waiting import until

TIMES = 50


def send_at_once(tenant, event_type, body, headers=None, between=lambda: None):
    """The same event TIMES times over as many connections; the event ids of the answers."""
    def send(number):
        if number % 10 == 5:
            between()
        return Api(tenant.stack.url, tenant.key).accept(event_type, body, headers)["event_id"]
    with concurrent.futures.ThreadPoolExecutor(TIMES // 2) as pool:
        return list(pool.map(send, range(TIMES)))


def flush_redis(stack):
    host, port = stack.env["TIDEGATE_REDIS"].split(":")
    with socket.create_connection((host, int(port)), timeout=5) as redis:
        redis.sendall(b"*1\r\n$8\r\nFLUSHALL\r\n")
        assert redis.recv(64).startswith(b"+OK")


def test_the_same_event_50_times_is_one_row(tenant, topics, store):
    body = events.promised(events.now())["order"]
    assert len(set(send_at_once(tenant, "order", body))) == 1
    store.wait_drained(topics)
    (row,) = tenant.events()
    assert row.event_id == events.named_id(tenant.id, "order", "o-1")
    tenant.check_folds()


def test_without_an_id_the_content_names_the_event(tenant, topics, store):
    at = events.now()
    body = {"device_id": "d", "metric": "m", "value": 21, "ts": events.rfc3339(at, 6)}
    same = {"ts": at.isoformat(), "value": 21.0, "unit": None, "metric": "m", "device_id": "d"}
    ids = set(send_at_once(tenant, "reading", body)) | set(send_at_once(tenant, "reading", same))
    assert len(ids) == 1
    other = tenant.api.accept("reading", {**body, "value": 22})["event_id"]
    assert other not in ids
    store.wait_drained(topics)
    assert len(tenant.events()) == 2
    tenant.check_folds()


def test_without_a_time_and_with_redis_flushed_it_is_still_one_row(tenant, topics, store):
    body = {"event_id": "again", "event_type": "donation", "stream_id": "s", "user_id": "u",
            "amount_usd": 7.25}
    ids = send_at_once(tenant, "stream", body, between=lambda: flush_redis(tenant.stack))
    assert len(set(ids)) == 1
    flush_redis(tenant.stack)
    tenant.api.accept("stream", body)
    store.wait_drained(topics)
    assert len(tenant.events()) == 1
    tenant.check_folds()


def test_an_idempotency_key_names_what_has_neither_id_nor_time(tenant, topics, store):
    body = {"device_id": "d", "metric": "m", "value": 1}
    key = {"Idempotency-Key": str(uuid.uuid4())}
    assert len(set(send_at_once(tenant, "reading", body, headers=key))) == 1
    batch = [("reading", body), ("reading", body)]
    twice = [tenant.api.batch(batch, headers={"Idempotency-Key": "b"}).json() for _ in range(2)]
    assert [item["event_id"] for item in twice[0]["items"]] == [
        item["event_id"] for item in twice[1]["items"]]
    tenant.api.accept("reading", body, headers={"Idempotency-Key": "another"})
    tenant.api.accept("reading", body)
    tenant.api.accept("reading", body)
    store.wait_drained(topics)
    assert len(tenant.events()) == 1 + 2 + 1 + 2
    tenant.check_folds()


def test_the_same_id_at_another_time_or_of_another_tenant_is_another_event(tenant, other):
    body = events.promised(events.now())["order"]
    tenant.api.accept("order", body)
    tenant.api.accept("order", {**body, "event_time": events.rfc3339(events.now() - datetime.timedelta(days=30))})
    other.api.accept("order", body)
    tenant.wait_for(2)
    other.wait_for(1)
    tenant.check_folds()


def test_of_contradicting_events_with_one_identity_one_counts(tenant, topics, store):
    """In one batch, in several, over several partitions: whichever row is kept, the aggregates are of it."""
    at = events.rfc3339(events.now())
    batch = [("activity", {"event_id": f"e-{number % 20}", "user_id": "u", "event_type": "click", "ts": at,
                           "page": f"/{number % 7}", "amount": number}) for number in range(400)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for answer in pool.map(lambda part: Api(tenant.stack.url, tenant.key).batch(part),
                               [batch[start::8] for start in range(8)]):
            assert answer.status_code == 202
    store.wait_drained(topics)
    assert len(tenant.events()) == 20
    tenant.check_folds()


def test_a_topic_read_again_changes_nothing(stack, store, tenant, topics, seed):
    with Load(tenant, seed, pause=0) as load:
        until(lambda: len(load.acknowledged) >= 500, 20, "500 events")
    store.check_ledger(tenant.id, load.acknowledged)
    store.wait_drained(topics)
    total = store.owner.one("SELECT count(*) FROM data.events")
    dead = store.owner.one("SELECT count(*) FROM data.dead_letters")
    stack.stop("worker")
    try:
        store.owner.rows("UPDATE data.consumer_offsets SET next_offset = 0")
    finally:
        stack.start("worker")
    store.wait_drained(topics)
    store.check_ledger(tenant.id, load.acknowledged)
    assert store.owner.one("SELECT count(*) FROM data.events") == total
    assert store.owner.one("SELECT count(*) FROM data.dead_letters") == dead
