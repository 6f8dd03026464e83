"""POST /v2/events: a result for every item, and the answer's code for all of them."""

import json

import pytest
from lib import events
from lib.api import error_of

NDJSON = {"Content-Type": "application/x-ndjson"}


def order(number, **more):
    return {"order_id": f"o-{number}", "customer_id": "c", "amount": number, "currency": "USD",
            "channel": "web", "event_time": events.rfc3339(events.now()), **more}


def test_each_item_has_its_own_result(tenant):
    good = order(1)
    response = tenant.api.batch([
        ("order", good),
        ("order", good),                                    # the same again
        ("order", {**order(2), "amount": "much"}),          # wrong type
        ("order", {k: v for k, v in order(3).items() if k != "currency"}),
        ("order", order(4, colour="red")),
        ("session", {"session_id": "s", "event_type": "jump", "channel": "web"}),
        ("nonsense", {"a": 1}),
        ("reading", {"device_id": "d", "metric": "m", "value": 1.5}),
    ])
    assert response.status_code == 202
    answer = response.json()
    assert {name: answer[name] for name in ("accepted", "duplicate", "rejected", "failed")} == {
        "accepted": 2, "duplicate": 1, "rejected": 5, "failed": 0}
    items = answer["items"]
    assert [item["index"] for item in items] == list(range(8))
    assert [item["status"] for item in items] == (
        ["accepted", "duplicate"] + ["rejected"] * 5 + ["accepted"])
    assert items[1]["of"] == 0 and items[1]["event_id"] == items[0]["event_id"]
    assert [(item["code"], item.get("field")) for item in items[2:7]] == [
        ("wrong_type", "data.amount"), ("missing_field", "data.currency"),
        ("unknown_field", "data.colour"), ("invalid_value", "data.event_type"),
        ("unknown_type", "type")]
    assert all(item["message"] for item in items[2:7])

    rows = tenant.wait_for(2)
    assert {str(row.event_id) for row in rows} == {items[0]["event_id"], items[7]["event_id"]}
    tenant.check_folds()


def test_all_six_types_in_one_request(tenant):
    bodies = events.promised(events.now().replace(microsecond=0))
    answer = tenant.api.batch(list(bodies.items())).json()
    assert answer["accepted"] == 6
    assert sorted(row.type for row in tenant.wait_for(6)) == sorted(events.TYPES)
    tenant.check_folds()


def test_lines_and_flat_events_are_taken(tenant):
    lines = "\n".join(json.dumps({"type": "order", "data": order(n)}) for n in range(3)) + "\n"
    assert tenant.api.batch(lines.encode(), headers=NDJSON).json()["accepted"] == 3
    flat = "\r\n".join(json.dumps(order(n)) for n in range(3, 6))
    assert tenant.api.batch(flat.encode(), headers=NDJSON, type="order").json()["accepted"] == 3
    array = json.dumps([order(n) for n in range(6, 9)])
    assert tenant.api.batch(array.encode(), type="order").json()["accepted"] == 3
    tenant.wait_for(9)


def test_a_bad_line_is_refused_alone(tenant):
    lines = [json.dumps(order(1)), "{not json", json.dumps(order(2)), "[]"]
    response = tenant.api.batch("\n".join(lines).encode(), headers=NDJSON, type="order")
    items = response.json()["items"]
    assert response.status_code == 202
    assert [item["status"] for item in items] == ["accepted", "rejected", "accepted", "rejected"]
    assert [items[1]["code"], items[3]["code"]] == ["invalid_json", "invalid_event"]
    tenant.wait_for(2)


def test_nothing_valid_is_422_with_results(tenant):
    response = tenant.api.batch([("order", {}), ("order", {"amount": 1})])
    assert response.status_code == 422
    assert [item["status"] for item in response.json()["items"]] == ["rejected", "rejected"]


@pytest.mark.parametrize("body,code", [
    (b"", 400), (b"{", 400), (b"[", 400), (b"[1,", 400), (b'"text"', 400), (b"\xff\xfe", 400),
])
def test_a_body_that_is_no_list_is_400(tenant, body, code):
    assert error_of(tenant.api.batch(body)).status == code


def test_too_many_events_are_refused_as_a_whole(tenant):
    body = ("[" + ",".join(["{}"] * 10001) + "]").encode()
    error = error_of(tenant.api.batch(body))
    assert error.status in (413, 422)
    assert "10000" in error.message


def test_ten_thousand_events_in_one_request(tenant):
    batch = [("reading", {"device_id": f"d-{n % 50}", "metric": "m", "value": n})
             for n in range(10000)]
    answer = tenant.api.batch(batch).json()
    assert answer["accepted"] == 10000
    tenant.wait_for(10000, seconds=20)
    tenant.check_folds()
