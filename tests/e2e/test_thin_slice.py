"""One event of each type through all processes: in at the gateway, out as a row, as aggregates and as an
answer. The bodies are those of the documentation."""

import datetime
import uuid
from decimal import Decimal

import pytest
from lib import events
from lib.waiting import until

MINUTE = datetime.timedelta(minutes=1)

# type -> kind, entity, user, value of the promised body
EXPECTED = {
    "order": ("USD", "web", "c-1", 120.5),
    "session": ("view", "web", "s-1", None),
    "stream": ("donation", "stream_1001", "user_999", 25.0),
    "signal": ("button_click", "web", "user_7", None),
    "reading": ("temperature", "device-1", None, 21.75),
    "activity": ("page_view", "/home", "user_5", None),
}


@pytest.fixture
def moment():
    """A fresh time of a whole minute, so that an event's bucket is known."""
    return events.now().replace(second=0, microsecond=0) - 2 * MINUTE


@pytest.mark.parametrize("event_type", events.TYPES)
def test_the_documented_body_becomes_one_row_and_one_minute(tenant, moment, event_type):
    body = events.promised(moment)[event_type]
    before = events.now()
    answer = tenant.api.accept(event_type, body)
    assert set(answer) == {"event_id", "received_at"}

    (row,) = tenant.wait_for(1)
    kind, entity, user, value = EXPECTED[event_type]
    assert (row.type, row.kind, row.entity, row.user_id, row.value) == (
        event_type, kind, entity, user, value)
    assert str(row.event_id) == answer["event_id"]
    identity = events.ROLES[event_type][0]
    if identity is not None and identity in body:
        assert row.event_id == events.named_id(tenant.id, event_type, body[identity])
    at = moment + datetime.timedelta(microseconds=300308) if event_type == "stream" else moment
    assert row.occurred_at == at
    assert row.received_at == datetime.datetime.fromisoformat(
        answer["received_at"].replace("Z", "+00:00"))
    assert before <= row.received_at <= row.processed_at <= events.now()

    total = Decimal(repr(value)) if value is not None else Decimal(0)
    cell = (1, int(value is not None), total, value, value)
    for level, bucket in (("minute", moment), ("hour", moment.replace(minute=0)),
                          ("day", moment.replace(hour=0, minute=0))):
        assert tenant.store.level(tenant.id, level) == {(event_type, bucket, kind, entity): cell}


def test_what_has_no_role_is_kept_in_the_payload(tenant, moment):
    bodies = events.promised(moment)
    for event_type in ("signal", "reading", "stream"):
        tenant.api.accept(event_type, bodies[event_type])
    tenant.api.accept("reading", {**bodies["reading"], "unit": "C"})
    tenant.api.accept("signal", {**bodies["signal"], "id": "own name", "extra": {"deep": [1]}})
    tenant.wait_for(5)
    payloads = {(row.type, str(row.event_id)): row.payload for row in tenant.events()}

    def of(event_type, name):
        return payloads[event_type, str(events.named_id(tenant.id, event_type, name))]

    plain = of("signal", bodies["signal"]["id"])
    assert plain["payload"] == bodies["signal"]["payload"]
    extended = of("signal", "own name")
    assert extended["id"] == "own name"
    assert extended["payload"]["button"] == "buy"
    assert extended["payload"]["extra"] == {"deep": [1]}
    assert of("stream", "manual-donation-1")["event_id"] == "manual-donation-1"
    units = [payload.get("unit") for (event_type, _), payload in payloads.items()
             if event_type == "reading"]
    assert sorted(units, key=str) == ["C", None]


def test_an_order_is_in_the_kpis(tenant, moment):
    bodies = events.promised(moment)
    tenant.api.accept("order", bodies["order"])
    tenant.api.accept("session", bodies["session"])
    tenant.wait_for(2)
    point = {"bucket": events.rfc3339(moment), "currency": "USD", "revenue": 120.5, "orders": 1,
             "avg_order": 120.5, "views": 1, "checkouts": 0, "purchases": 0, "conversion": 0}

    def reads(path, expected, **params):
        def found():
            items = tenant.api.items(path, **params)
            for item in items:
                item["bucket"] = item["bucket"].replace(".000000Z", "Z")
            return items == [expected]
        until(found, 3, f"{path} shows {expected}; it has {tenant.api.items(path, **params)}")

    reads("/v1/kpi/minute", point)
    reads("/v1/kpi/latest", point)
    reads("/v1/kpi/minute", point, currency="USD")
    reads("/v1/kpi/hour", {**point, "bucket": events.rfc3339(moment.replace(minute=0))})


def test_a_donation_is_in_the_stream_metrics(tenant, moment):
    tenant.api.accept("stream", events.promised(moment)["stream"])
    tenant.wait_for(1)
    for path in ("/v1/metrics", "/v1/metrics/latest"):
        (item,) = until(lambda p=path: tenant.api.items(p), 3, path)
        assert item["stream_id"] == "stream_1001"
        assert item["donations_usd"] == 25
        assert (item["chat_messages"], item["active_viewers"]) == (0, 0)
        start = datetime.datetime.fromisoformat(item["window_start"].replace("Z", "+00:00"))
        end = datetime.datetime.fromisoformat(item["window_end"].replace("Z", "+00:00"))
        assert (start, end) == (moment, moment + MINUTE)
    assert tenant.api.items("/v1/streams/top") == [{"stream_id": "stream_1001", "donations_usd": 25}]


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1", ""])
def test_v1_has_three_names(tenant, moment, prefix):
    tenant.api.accept("order", events.promised(moment)["order"], prefix=prefix)
    tenant.wait_for(1)
    for path in ("/kpi/minute", "/kpi/hour", "/kpi/latest", "/metrics", "/metrics/latest",
                 "/streams/top"):
        tenant.api.read(prefix + path)
    (item,) = tenant.api.items(prefix + "/kpi/minute")
    assert item["orders"] == 1


def test_an_event_is_readable_soon(tenant):
    """At most a second to the store and another one in the cache."""
    tenant.api.accept("stream", {"event_id": str(uuid.uuid4()), "event_type": "donation",
                                 "stream_id": "s", "user_id": "u", "amount_usd": 3})
    until(lambda: [item["donations_usd"] for item in tenant.api.items("/v1/metrics")] == [3], 2,
          "the donation is in /v1/metrics", every=0.05)
