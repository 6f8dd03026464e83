"""?on_invalid=dead_letter: what is invalid is kept, once, with its bytes and what was wrong, for its tenant."""

import base64
import collections
import json
import uuid

import pytest
from lib import events
from lib.api import JSON, error_of
from lib.waiting import until

NDJSON = {"Content-Type": "application/x-ndjson"}
STRUCTURED = {"Content-Type": "application/cloudevents+json"}
DLQ, PARTITIONS = "events.dlq", 3

Letter = collections.namedtuple("Letter", "id tenant_id type error_code error_field error_text topic record_value"
                                          " headers published_at")


def order(number, **more):
    return {"order_id": f"o-{number}", "customer_id": "c", "amount": number, "currency": "USD",
            "channel": "web", "event_time": events.rfc3339(events.now()), **more}


def letters(store, tenant):
    """All dead letters of a tenant, oldest record first."""
    return [Letter(*row) for row in store.owner.rows(
        f"SELECT {', '.join(Letter._fields)} FROM data.dead_letters WHERE tenant_id = %s"
        " ORDER BY partition, record_offset", tenant.id)]


def wait_for_letters(store, tenant, count):
    until(lambda: len(letters(store, tenant)) >= count, 20, f"{count} dead letters of {tenant.id}")
    found = letters(store, tenant)
    assert len(found) == count, found
    return found


def headers_of(letter):
    return {header["name"]: base64.b64decode(header["value"]) for header in letter.headers}


def bury(tenant, body, headers=None, **params):
    """The items of a request's answer."""
    response = tenant.api.batch(body, headers={**JSON, **(headers or {})}, on_invalid="dead_letter", **params)
    assert response.status_code == 202, response.text
    return response.json()["items"]


def test_the_invalid_ones_of_a_batch_are_kept_and_the_others_stored(tenant, store):
    wrong = ['{"type":"order","data":{"amount":"ü"}}', "{broken", '{"type":"nothing","data":{"a":1}}',
             '{"type":"Not A Name","data":{}}', json.dumps({"type": "order", "data": order(1), "more": 1}),
             json.dumps({"type": "order", "data": order(2, event_time="2001-01-01T00:00:00Z")})]
    lines = [json.dumps({"type": "order", "data": order(7)}), *wrong, json.dumps({"type": "order", "data": order(8)})]
    items = bury(tenant, "\n".join(lines).encode(), NDJSON)
    assert [item["status"] for item in items] == ["accepted"] + ["dead_lettered"] * 6 + ["accepted"]
    found = wait_for_letters(store, tenant, 6)
    assert [str(letter.id) for letter in found] == [item["dead_letter_id"] for item in items[1:7]]
    assert [bytes(letter.record_value).decode() for letter in found] == wrong
    assert [(letter.error_code, letter.error_field) for letter in found] == [
        (item["code"], item.get("field", "")) for item in items[1:7]] == [
            ("missing_field", "data.customer_id"), ("invalid_json", found[1].error_field), ("unknown_type", "type"),
            ("unknown_type", "type"), ("unknown_field", "more"), ("too_old", "data.event_time")]
    assert [letter.type for letter in found] == ["order", None, "nothing", None, None, "order"]
    assert [letter.error_text for letter in found] == [item["message"] for item in items[1:7]]
    assert all(letter.published_at and letter.topic == DLQ for letter in found)
    assert {headers_of(letter)["tg-dlq-form"] for letter in found} == {b"item"}
    tenant.wait_for(2)
    tenant.check_folds()


def test_a_letter_stands_in_the_topic_with_its_context(tenant, topics):
    (item,) = bury(tenant, b'[{"amount": 1}]', type="order")
    record = topics.find(DLQ, "tg-dlq-id", item["dead_letter_id"].encode(), PARTITIONS)
    headers = dict(record.headers())
    assert record.value() == b'{"amount": 1}'
    assert record.headers()[0] == ("tg-dlq-origin", b"ingestion")
    assert {name: headers[name].decode() for name in ("tg-tenant", "tg-type", "tg-dlq-code", "tg-dlq-field",
                                                      "tg-dlq-form")} == {
        "tg-tenant": tenant.id, "tg-type": "order", "tg-dlq-code": "missing_field",
        "tg-dlq-field": "customer_id", "tg-dlq-form": "event"}


def test_a_single_event_is_kept_too(tenant, store):
    for body, event_type, code in ((b'{"amount":1}', "order", "missing_field"), (b"{", "order", "invalid_json"),
                                   (b"{}", "nothing", "unknown_type")):
        response = tenant.api.request("POST", f"/v1/events/{event_type}?on_invalid=dead_letter", data=body,
                                      headers=JSON)
        answer = response.json()
        assert response.status_code == 202 and answer["status"] == "dead_lettered" and answer["code"] == code
        letter = until(lambda wanted=answer["dead_letter_id"]: [
            one for one in letters(store, tenant) if str(one.id) == wanted], 20, "the letter")[0]
        assert (bytes(letter.record_value), letter.type, letter.error_code) == (body, event_type, code)
    good = tenant.api.request("POST", "/v1/events/order?on_invalid=dead_letter", data=json.dumps(order(1)),
                              headers=JSON)
    assert good.status_code == 202 and "event_id" in good.json()
    tenant.wait_for(1)
    assert len(letters(store, tenant)) == 3
    assert error_of(tenant.api.request("POST", "/v1/events/order?on_invalid=x", data=b"{}", headers=JSON)).status == 400


def test_cloudevents_are_kept_with_their_attributes(tenant, store):
    event = {"specversion": "1.0", "id": "ü 1", "source": "/s", "type": "order", "data": {"amount": 1}}
    bury(tenant, json.dumps(event).encode(), STRUCTURED)
    bury(tenant, b'{"amount":1}', {"ce-specversion": "1.0", "ce-id": "b%20c", "ce-source": "/s", "ce-type": "order"})
    structured, binary = wait_for_letters(store, tenant, 2)
    assert json.loads(bytes(structured.record_value)) == event
    assert headers_of(structured)["tg-dlq-form"] == b"cloudevent"
    assert bytes(binary.record_value) == b'{"amount":1}'
    context = headers_of(binary)
    assert (context["ce_id"], context["ce_source"], context["ce_type"]) == (b"b c", b"/s", b"order")


def test_a_retry_with_the_same_key_is_one_letter(tenant, store):
    key = {"Idempotency-Key": "k-1"}
    first, again = (bury(tenant, b"[{},{}]", key, type="order") for _ in range(2))
    assert [item["dead_letter_id"] for item in first] == [item["dead_letter_id"] for item in again]
    bury(tenant, b"[{}]", {"Idempotency-Key": "k-2"}, type="order")
    wait_for_letters(store, tenant, 3)


def test_each_tenant_has_its_own_letters(tenant, other, store):
    key = {"Idempotency-Key": "the same"}
    bury(tenant, b'[{"mine":1}]', key, type="order")
    bury(other, b'[{"theirs":1}]', key, type="order")
    (mine,), (theirs,) = wait_for_letters(store, tenant, 1), wait_for_letters(store, other, 1)
    assert mine.id != theirs.id
    assert (bytes(mine.record_value), bytes(theirs.record_value)) == (b'{"mine":1}', b'{"theirs":1}')


def test_letters_that_are_read_again_are_stored_once(stack, tenant, store):
    bury(tenant, b"[{},{},{}]", type="order")
    wait_for_letters(store, tenant, 3)
    stack.stop("worker")
    try:
        store.owner.rows("UPDATE data.consumer_offsets SET next_offset = 0 WHERE topic = %s", DLQ)
    finally:
        stack.start("worker")
    bury(tenant, b"[{}]", type="order")
    wait_for_letters(store, tenant, 4)


def test_more_letters_than_a_transaction_takes(tenant, store):
    items = bury(tenant, b"[" + b",".join([b"{}"] * 500) + b"]", type="order")
    assert {item["status"] for item in items} == {"dead_lettered"}
    found = wait_for_letters(store, tenant, 500)
    assert {str(letter.id) for letter in found} == {item["dead_letter_id"] for item in items}


def test_what_is_larger_than_an_event_is_refused(tenant):
    response = tenant.api.batch(b'[{"x":"' + b"y" * 300_000 + b'"}]', on_invalid="dead_letter", type="order")
    assert response.status_code == 422
    assert response.json()["items"][0]["code"] == "too_large"


def test_a_request_that_cannot_be_cut_is_refused_whole(tenant, store):
    assert tenant.api.batch(b"[{}", on_invalid="dead_letter", type="order").status_code == 400
    assert letters(store, tenant) == []


HOSTILE = [
    [], [("tg-dlq-id", b"x")], [("tg-dlq-origin", b"other"), ("tg-tenant", b"TENANT")],
    [("a", b"b"), ("tg-dlq-origin", b"ingestion"), ("tg-tenant", b"TENANT"), ("tg-dlq-id", b"ID")],
]


@pytest.mark.parametrize("headers", HOSTILE)
def test_other_records_of_the_topic_are_passed_over(tenant, store, topics, headers):
    fill = {b"TENANT": tenant.id.encode(), b"ID": str(uuid.uuid4()).encode()}
    topics.put(DLQ, 0, b"value", [(name, fill.get(value, value)) for name, value in headers])
    topics.put(DLQ, 0, None, headers)
    name = str(uuid.uuid4())
    topics.put(DLQ, 0, b"\xff\x00", [
        ("tg-dlq-origin", b"ingestion"), ("tg-dlq-id", name.encode()), ("tg-tenant", tenant.id.encode()),
        ("tg-dlq-code", b"a\0b"), ("tg-dlq-text", b"\xff\xfe"), ("tg-dlq-field", b"x" * 5000),
        ("tg-type", b"Not a Type")])
    (letter,) = wait_for_letters(store, tenant, 1)
    assert (str(letter.id), letter.type, letter.error_code, letter.error_field, letter.error_text) == (
        name, None, "invalid_event", "", "")
    assert bytes(letter.record_value) == b"\xff\x00"


def test_a_letter_without_tenant_or_id_is_the_operators(store, topics, tenant):
    offset = topics.put(DLQ, 1, b"nobody's", [("tg-dlq-origin", b"ingestion"), ("tg-dlq-id", b"no uuid"),
                                              ("tg-tenant", tenant.id.encode())])
    row = until(lambda: store.owner.rows(
        "SELECT tenant_id, error_code, published_at FROM data.dead_letters WHERE topic = %s AND partition = 1"
        " AND record_offset = %s", DLQ, offset), 20, "the operator's letter")[0]
    assert row[:2] == (None, "bad_headers") and row[2] is not None
    assert letters(store, tenant) == []
