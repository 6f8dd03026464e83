"""?strict=true: all events of the request or none; and Idempotency-Key, which makes a retry safe."""

import json
import uuid

import pytest
from lib import events
from lib.api import JSON, error_of

CLOUD = {"Content-Type": "application/cloudevents-batch+json"}
NDJSON = {"Content-Type": "application/x-ndjson"}


def order(number, **more):
    return {"order_id": f"o-{number}", "customer_id": "c", "amount": number, "currency": "USD",
            "channel": "web", "event_time": events.rfc3339(events.now()), **more}


def cloud(data):
    return {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "/s", "type": "order", "data": data}


def counts(answer):
    return {name: answer[name] for name in ("accepted", "duplicate", "rejected", "failed", "withheld")
            if answer[name]}


def mark(tenant, count):
    """Sends one more event and waits until exactly `count` are stored: whatever was sent before it is, too."""
    tenant.api.accept("order", order(0, order_id="mark"))
    return tenant.wait_for(count)


FORMS = {
    "array": lambda items: ("?strict=true&type=order", JSON, json.dumps(items)),
    "lines": lambda items: ("?type=order&strict=true", NDJSON, "\n".join(map(json.dumps, items))),
    "envelopes": lambda items: ("?strict=true", JSON, json.dumps([{"type": "order", "data": i} for i in items])),
    "cloudevents": lambda items: ("?strict=true", CLOUD, json.dumps([cloud(i) for i in items])),
}


@pytest.mark.parametrize("form", FORMS)
def test_one_bad_event_withholds_all_others(tenant, form):
    def send(items):
        query, headers, body = FORMS[form](items)
        return tenant.api.request("POST", "/v2/events" + query, data=body, headers=headers)
    for place in (0, 2, 4):
        items = [order(n) for n in range(5)]
        items[place] = {**items[place], "amount": "much"}
        response = send(items)
        answer = response.json()
        assert response.status_code == 422
        assert counts(answer) == {"rejected": 1, "withheld": 4}
        assert [item["status"] for item in answer["items"]] == [
            "rejected" if n == place else "withheld" for n in range(5)]
        assert answer["items"][place]["field"].endswith("amount")
    response = send([order(n) for n in range(3)])
    assert response.status_code == 202 and counts(response.json()) == {"accepted": 3}
    mark(tenant, 4)
    tenant.check_folds()


def test_a_duplicate_is_no_fault(tenant):
    good = order(1)
    answer = tenant.api.batch([("order", good), ("order", good)], strict="true").json()
    assert counts(answer) == {"accepted": 1, "duplicate": 1}
    mark(tenant, 2)


def test_every_fault_is_told_not_just_the_first(tenant):
    response = tenant.api.batch([("order", {}), ("nothing", {}), ("order", order(1)), ("reading", {"value": 1})],
                                strict="true")
    assert response.status_code == 422 and counts(response.json()) == {"rejected": 3, "withheld": 1}
    mark(tenant, 1)


def test_a_strict_event_alone_is_refused_as_ever(tenant):
    response = tenant.api.batch(json.dumps(cloud({})).encode(), strict="true",
                                headers={"Content-Type": "application/cloudevents+json"})
    assert response.status_code == 422 and response.json()["items"][0]["code"] == "missing_field"


def test_ten_thousand_strict_events(tenant):
    readings = [("reading", {"device_id": f"d-{n % 50}", "metric": "m", "value": n}) for n in range(10000)]
    spoilt = [*readings[:-1], ("reading", {"device_id": "d", "metric": "m", "value": None})]
    assert counts(tenant.api.batch(spoilt, strict="true").json()) == {"rejected": 1, "withheld": 9999}
    assert counts(tenant.api.batch(readings, strict="true").json()) == {"accepted": 10000}
    tenant.wait_for(10000, seconds=30)


@pytest.mark.parametrize("query", [{"strict": "1"}, {"strict": ""}, {"strict": "yes"}, {"Strict": "true"},
                                   {"on_invalid": "keep"}, {"strict": "true", "on_invalid": "dead_letter"}])
def test_other_parameters_are_refused(tenant, query):
    error = error_of(tenant.api.batch([("order", order(1))], **query))
    assert (error.status, error.code) == (400, "invalid_parameter")
    assert error.field in query


def test_false_is_the_default(tenant):
    answer = tenant.api.batch([("order", order(1)), ("order", {})], strict="false").json()
    assert counts(answer) == {"accepted": 1, "rejected": 1}


@pytest.mark.parametrize("strict", ["true", "false"])
def test_an_idempotency_key_makes_a_retry_count_once(tenant, strict):
    readings = [{"device_id": "d", "metric": "m", "value": 1}] * 3  # no id, no time: alike, and three events
    key = {"Idempotency-Key": f"upload {uuid.uuid4()}"}
    answers = []
    for headers in (JSON, JSON, NDJSON):
        body = json.dumps(readings) if headers is JSON else "\n".join(map(json.dumps, readings))
        answers.append(tenant.api.batch(body.encode(), headers={**headers, **key}, type="reading",
                                        strict=strict).json())
    assert [answer["accepted"] for answer in answers] == [3, 3, 3]
    assert len({item["event_id"] for answer in answers for item in answer["items"]}) == 3
    mark(tenant, 4)


def test_a_cloudevents_own_id_counts_before_the_key(tenant):
    event = cloud({"customer_id": "c", "amount": 1, "currency": "USD", "channel": "web"})
    for key in ("one", "two"):
        item = tenant.api.batch(json.dumps([event]).encode(), headers={**CLOUD, "Idempotency-Key": key}).json()
        assert item["items"][0]["event_id"] == event["id"]
    mark(tenant, 2)
