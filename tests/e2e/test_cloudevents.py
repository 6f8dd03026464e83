"""CloudEvents 1.0 on POST /v2/events: structured, batch and binary mode, what they mean for identity and time,
and what is refused."""

import base64
import datetime
import json
import urllib.parse
import uuid

import pytest
from lib import events
from lib.api import error_of

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
FORMS = ("structured", "base64", "batch", "binary")


def order(**more):
    return {"customer_id": "c", "amount": 2.5, "currency": "USD", "channel": "web", **more}


def cloud(data, **attributes):
    """A structured event; an attribute that is None is left out."""
    event = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "/shop/1", "type": "order",
             **attributes, "data": data}
    return {name: value for name, value in event.items() if value is not None}


def send(tenant, form, event, headers=None, **params):
    """One event in the form asked for."""
    if form == "binary":
        attributes = {f"ce-{name}": urllib.parse.quote(str(value), safe="/:+.-")
                      for name, value in event.items() if name != "data"}
        headers = {"Content-Type": "application/json", **attributes, **(headers or {})}
        return tenant.api.batch(json.dumps(event["data"]).encode(), headers=headers, **params)
    if form == "base64":
        text = base64.b64encode(json.dumps(event["data"]).encode()).decode()
        event = {**event, "data": None, "data_base64": text}
    body = [event] if form == "batch" else event
    return tenant.api.batch(json.dumps(body).encode(), **params,
                            headers={**(BATCH if form == "batch" else STRUCTURED), **(headers or {})})


def accepted(response):
    """The only item of an answer that must be a success."""
    assert response.status_code == 202, response.text
    answer = response.json()
    assert (answer["accepted"], len(answer["items"])) == (1, 1), answer
    return answer["items"][0]


def refused(response, status=422):
    """The only item of an answer that must be a refusal."""
    assert response.status_code == status, response.text
    (item,) = response.json()["items"]
    assert item["status"] == "rejected" and len(item["message"]) > 10
    return item


@pytest.mark.parametrize("form", FORMS)
def test_each_form_stores_the_event_with_its_id_and_time(tenant, form):
    moment = events.now() - datetime.timedelta(minutes=3)
    event = cloud(order(), time=events.rfc3339(moment, 6), subject="s", dataschema="https://x/y",
                  myextension="ignored", sequence="17")
    item = accepted(send(tenant, form, event))
    assert item["event_id"] == event["id"]
    (row,) = tenant.wait_for(1)
    assert (str(row.event_id), row.occurred_at, row.kind, row.value) == (event["id"], moment, "USD", 2.5)
    assert row.payload == {}
    tenant.check_folds()


@pytest.mark.parametrize("event_id", ["6f1e2d3c-4b5a-4798-8a7b-0c1d2e3f4a5b", "number 17 & ü"])
def test_the_same_event_counts_once_whatever_its_form(tenant, event_id):
    moment = events.now().replace(microsecond=0)
    event = cloud(order(), id=event_id, time=events.rfc3339(moment))
    ids = {accepted(send(tenant, form, event))["event_id"] for form in FORMS * 2}
    assert len(ids) == 1
    tenant.api.accept("order", order(order_id="mark"))
    rows = tenant.wait_for(2)
    assert ids < {str(row.event_id) for row in rows}
    tenant.check_folds()


def test_a_uuid_names_the_same_event_in_all_other_forms_too(tenant):
    moment, name = events.rfc3339(events.now()), str(uuid.uuid4())
    flat = order(order_id=name, event_time=moment)
    accepted(send(tenant, "structured", cloud(order(), id=name, time=moment)))
    tenant.api.accept("order", flat)
    assert tenant.api.batch([("order", flat)]).json()["items"][0]["event_id"] == name
    tenant.api.accept("order", order(order_id="mark"))
    tenant.wait_for(2)


def test_a_text_id_belongs_to_its_source(tenant):
    moment = events.rfc3339(events.now())
    ids = [accepted(send(tenant, "structured", cloud(order(), id="1", source=source, time=moment)))["event_id"]
           for source in ("/shop/1", "/shop/2", "/shop/1")]
    assert ids[0] == ids[2] != ids[1]
    rows = tenant.wait_for(2)
    assert [row.payload for row in rows] == [{"order_id": "1"}] * 2


def test_what_the_data_says_of_id_and_time_wins(tenant):
    moment = events.now().replace(microsecond=0) - datetime.timedelta(hours=1)
    data = order(order_id="o-7", event_time=events.rfc3339(moment))
    item = accepted(send(tenant, "structured", cloud(data, time=events.rfc3339(events.now()))))
    assert item["event_id"] == str(events.named_id(tenant.id, "order", "o-7"))
    (row,) = tenant.wait_for(1)
    assert row.occurred_at == moment


def test_a_type_without_an_id_field_is_named_by_the_envelope(tenant):
    moment = events.rfc3339(events.now())
    event = cloud({"session_id": "s", "event_type": "view", "channel": "web"}, type="session", time=moment)
    other = {**event, "id": str(uuid.uuid4())}  # the same content twice, and two events
    for one in (event, other, event):
        accepted(send(tenant, "structured", one))
    tenant.wait_for(2)


def test_the_type_may_be_a_subject_or_come_from_the_query(tenant):
    accepted(send(tenant, "structured", cloud(order(), type="order-value")))
    for form in FORMS:
        accepted(send(tenant, form, cloud(order(), type="com.acme.order.placed"), **{"type": "order"}))
    item = refused(send(tenant, "structured", cloud(order(), type="com.acme.order.placed")))
    assert (item["code"], item["field"]) == ("unknown_type", "type") and "?type=" in item["message"]
    item = refused(send(tenant, "binary", cloud(order(), type="nothing")))
    assert (item["code"], item["field"]) == ("unknown_type", "ce-type")
    tenant.wait_for(5)


def test_a_batch_has_a_result_for_each_event(tenant):
    good = cloud(order())
    batch = [good, good, cloud(order(amount="much")), cloud(order(), id=None), cloud(order(), specversion="0.3"),
             cloud(None), [], 7, cloud(order(), datacontenttype="text/xml"), cloud(order(), time="noon"),
             {**cloud(None), "data_base64": "***"}, cloud({"page": "/", "user_id": "u", "event_type": "click"},
                                                         type="activity")]
    response = tenant.api.batch(json.dumps(batch).encode(), headers=BATCH)
    answer = response.json()
    assert (response.status_code, answer["accepted"], answer["duplicate"], answer["rejected"]) == (202, 2, 1, 9)
    assert [(item["code"], item.get("field")) for item in answer["items"][2:11]] == [
        ("wrong_type", "data.amount"), ("missing_field", "id"), ("invalid_value", "specversion"),
        ("missing_field", "data"), ("invalid_event", None), ("invalid_event", None),
        ("invalid_value", "datacontenttype"), ("invalid_value", "time"), ("invalid_value", "data_base64")]
    tenant.wait_for(2)
    tenant.check_folds()


@pytest.mark.parametrize("form", FORMS)
def test_a_time_out_of_bounds_is_refused_by_its_name(tenant, form):
    item = refused(send(tenant, form, cloud(order(), time="2001-01-01T00:00:00Z")))
    assert (item["code"], item["field"]) == ("too_old", "ce-time" if form == "binary" else "time")
    item = refused(send(tenant, form, cloud(order(event_time="2001-01-01T00:00:00Z"))))
    assert (item["code"], item["field"]) == ("too_old", "event_time" if form == "binary" else "data.event_time")


@pytest.mark.parametrize("headers,field", [
    ({"ce-id": None}, "ce-id"), ({"ce-source": None}, "ce-source"), ({"ce-type": None}, "ce-type"),
    ({"ce-specversion": None}, "ce-specversion"), ({"ce-specversion": "2.0"}, "ce-specversion"),
    ({"ce-id": "%00"}, "ce-id"), ({"ce-id": "x" * 257}, "ce-id"), ({"ce-source": "y" * 5000}, "ce-source"),
    ({"ce-source": b"\xff\xfe"}, "ce-source"), ({"ce-time": "yesterday"}, "ce-time"),
    ({"ce-id": '"'}, None), ({"ce-id": "%zz%"}, None), ({"ce-unknown": "z" * 8000}, None),
], ids=["no id", "no source", "no type", "no version", "wrong version", "NUL", "long id", "long source", "not UTF-8",
        "no time", "one quote", "no escape", "long extension"])
def test_odd_headers_are_refused_by_name_or_harmless(tenant, headers, field):
    given = {"Content-Type": "application/json", "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s",
             "ce-type": "order", **headers}
    given = {name: value for name, value in given.items() if value is not None}
    response = tenant.api.batch(json.dumps(order()).encode(), headers=given)
    if field is None:
        accepted(response)
        tenant.wait_for(1)
    else:
        assert refused(response)["field"] == field


def test_binary_data_is_json_and_one_object(tenant):
    base = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "order"}
    for content_type in ("text/plain", "application/x-ndjson", "application/octet-stream"):
        error = error_of(tenant.api.batch(b"{}", headers={**base, "Content-Type": content_type}))
        assert (error.status, error.field) == (415, "Content-Type")
    for body, status, code in ((b"", 400, "invalid_json"), (b"{", 400, "invalid_json"), (b"[]", 422, "invalid_event"),
                               (b"\xff", 400, "invalid_json"), (b'{"a":"' + b"x" * 300_000 + b'"}', 413, "too_large")):
        assert refused(tenant.api.batch(body, headers=base), status)["code"] == code


@pytest.mark.parametrize("body,status,code", [
    (b"", 400, "invalid_json"), (b"{", 400, "invalid_json"), (b"[]", 422, "invalid_event"),
    (b"null", 422, "invalid_event"), (b"{}", 422, "missing_field"), (b"\x00", 400, "invalid_json"),
    (b'{"data":' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "invalid_json"),
    (b'{"specversion":"1.0","x":"' + b"y" * 300_000 + b'"}', 413, "too_large"),
], ids=["empty", "cut", "array", "null", "no attribute", "NUL", "nested", "too large"])
def test_a_structured_body_that_is_no_event_is_refused(tenant, body, status, code):
    item = refused(tenant.api.batch(body, headers=STRUCTURED), status)
    assert item["code"] == code, item


def test_other_formats_of_cloudevents_are_415(tenant):
    for suffix in ("+xml", "+avro", "+protobuf", ""):
        error = error_of(tenant.api.batch(b"{}", headers={"Content-Type": f"application/cloudevents{suffix}"}))
        assert error.status == 415 and "application/cloudevents+json" in error.message


def test_the_events_own_trace_goes_with_it(tenant, topics):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for form in FORMS:
        name = str(uuid.uuid4())
        accepted(send(tenant, form, cloud(order(), id=name, traceparent=trace)))
        record = topics.find_event("events.order", uuid.UUID(name))
        assert dict(record.headers())["traceparent"] == trace.encode()


def test_a_cloudevent_in_a_plain_array_is_told_where_to_go(tenant):
    item = tenant.api.batch(json.dumps([cloud(order())]).encode()).json()["items"][0]
    assert item["code"] == "unknown_field" and "application/cloudevents-batch+json" in item["message"]
