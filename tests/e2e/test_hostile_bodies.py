"""Bodies that are wrong, huge or built to hurt: a clear refusal that names the field, and the services as
they were: the same processes, and the next good event is taken."""

import datetime
import json
import socket

import pytest
from lib import events
from lib.api import JSON, error_of
from lib.tenants import Tenant

GOOD = {"order_id": "o-1", "customer_id": "c", "amount": 1.5, "currency": "USD", "channel": "web",
        "event_time": events.rfc3339(events.now() - datetime.timedelta(days=1))}


def text(**changes):
    """The good order with some fields' JSON text replaced."""
    parts = {key: json.dumps(value) for key, value in GOOD.items()}
    parts.update(changes)
    return ("{" + ",".join(f'"{key}":{value}' for key, value in parts.items()) + "}").encode()


@pytest.fixture(scope="module")
def accepted():
    """Ids of the good events that were sent between the hostile ones."""
    return []


@pytest.fixture(scope="module")
def tenant(stack, store, accepted):
    """One for all: in the end it has the good events and no others."""
    one = Tenant(stack, store)
    yield one
    assert {str(row.event_id) for row in one.wait_for(len(accepted))} == set(accepted)
    one.check_folds()


@pytest.fixture(autouse=True)
def unharmed(stack, tenant, accepted):
    """The same processes before and after, and the next good event is accepted."""
    pids = {name: stack.pid(name) for name in ("gateway", "ingestion", "worker")}
    yield
    assert {name: stack.pid(name) for name in pids} == pids
    good = {**GOOD, "order_id": f"good-{len(accepted)}"}
    accepted.append(tenant.api.accept("order", good)["event_id"])


def refused(response, status, code, field):
    error = error_of(response)
    assert (error.status, error.code, error.field) == (status, code, field), error
    assert len(error.message) > 10
    return error


@pytest.mark.parametrize("body", [
    b"", b" ", b"{", b"}", b"{]", b'{"order_id"', b'{"order_id":}', b'{"a":1,}', b"nul", b"'a'", b"{}{}",
    b'{"amount":01}', b'{"amount":1.}', b'{"amount":.5}', b'{"amount":+1}', b'{"amount":0x10}',
    b'{"a":"\\x41"}', b'{"a":"line\nbreak"}', b'{"a":"\x00"}', b"\xef\xbb\xbf{", b"\x00", b"%PDF-1.4",
])
def test_malformed_json_is_400(tenant, body):
    error = error_of(tenant.api.post("order", body))
    assert (error.status, error.code) == (400, "invalid_json")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e400", "9" * 400])
def test_numbers_that_are_none_are_refused_by_field(tenant, number):
    error = error_of(tenant.api.post("order", text(amount=number)))
    assert (error.status, error.field) in ((400, "amount"), (422, "amount")), error


@pytest.mark.parametrize("field,value", [
    ("amount", '"12"'), ("amount", "true"), ("amount", "null"), ("amount", "[]"), ("amount", "{}"),
    ("customer_id", "12"), ("customer_id", "null"), ("currency", '["USD"]'), ("channel", "{}"),
    ("order_id", "5"), ("event_time", "true"), ("event_time", "{}"),
])
def test_a_wrong_type_is_refused_by_field(tenant, field, value):
    error = refused(tenant.api.post("order", text(**{field: value})), 422, "wrong_type", field)
    assert "expected" in error.message


@pytest.mark.parametrize("field,value", [
    ("event_time", '"yesterday"'), ("event_time", '"2026-02-30T00:00:00Z"'), ("event_time", '""'),
    ("event_time", '"2026-01-01"'), ("event_time", '"2026-01-01T00:00:00"'),
    ("customer_id", '"' + "x" * 257 + '"'), ("currency", '"' + "\u00e9" * 129 + '"'),
    ("channel", '"' + "y" * 100000 + '"'), ("customer_id", '"a\\u0000b"'), ("currency", '"\\u0000"'),
    ("order_id", '"\\u0000"'),
])
def test_a_value_that_the_store_cannot_hold_is_refused_by_field(tenant, field, value):
    refused(tenant.api.post("order", text(**{field: value})), 422, "invalid_value", field)


@pytest.mark.parametrize("event_time,code", [
    ('"9999-12-31T23:59:59Z"', "too_far_ahead"), ('"0001-01-01T00:00:00Z"', "too_old"), ("0", "too_old"),
    ("99999999999999999", None), ("9223372036854775807", None), ("-9223372036854775808", None),
    ("1e300", None),
])
def test_a_time_outside_all_bounds_is_refused_by_field(tenant, event_time, code):
    error = error_of(tenant.api.post("order", text(event_time=event_time)))
    assert (error.status, error.field) == (422, "event_time"), error
    assert code is None or error.code == code


@pytest.mark.parametrize("field", ["customer_id", "amount", "currency", "channel"])
def test_a_missing_field_is_named(tenant, field):
    body = {key: value for key, value in GOOD.items() if key != field}
    refused(tenant.api.post("order", body), 422, "missing_field", field)


def test_unknown_and_repeated_fields_are_named(tenant):
    refused(tenant.api.post("order", {**GOOD, "colour": "red"}), 422, "unknown_field", "colour")
    refused(tenant.api.post("order", {**GOOD, "": 1}), 422, "unknown_field", None)
    error = error_of(tenant.api.post("order", {**GOOD, "x" * 5000: 1}))
    assert error.code == "unknown_field" and 10 < len(error.field) < 256
    refused(tenant.api.post("order", text()[:-1] + b',"amount":2}'), 422, "invalid_event", "amount")


@pytest.mark.parametrize("event_type,body,field,allowed", [
    ("session", {"session_id": "s", "event_type": "jump", "channel": "w"}, "event_type", "checkout"),
    ("stream", {"event_type": "", "stream_id": "s", "user_id": "u"}, "event_type", "donation"),
    ("signal", {"user_id": "u", "source": "fax", "type": "t"}, "source", "mobile"),
])
def test_a_bad_enum_is_refused_with_what_is_allowed(tenant, event_type, body, field, allowed):
    error = refused(tenant.api.post(event_type, body), 422, "invalid_value", field)
    assert allowed in error.message


@pytest.mark.parametrize("body", [
    text(customer_id='"\\ud800"'), text(customer_id='"\\udc00\\ud800"'), text(customer_id='"\\ud83dx"'),
    text().replace(b'"c"', b'"\xff"'), b'{"a":"\xc3"}', b'{"a":"\xed\xa0\x80"}',
    b'{"a":"\xc0\xaf"}', b'{"a":"\xf5\x80\x80\x80"}', b"\xff\xfe{\x00}\x00",
])
def test_bad_utf8_and_lone_surrogates_are_400(tenant, body):
    error = error_of(tenant.api.post("order", body))
    assert (error.status, error.code) == (400, "invalid_json")


@pytest.mark.parametrize("opening,closing", [("[", "]"), ('{"a":', "}")])
def test_deep_nesting_is_refused(tenant, opening, closing):
    for levels in (100, 100_000):
        nested = opening * levels + "1" + closing * levels
        for body in (nested, '{"user_id":"u","source":"web","type":"t","payload":' + nested + "}"):
            error = error_of(tenant.api.post("signal", body.encode()))
            assert 400 <= error.status < 500, error
            assert error.code in ("invalid_json", "too_large", "body_too_large"), error


def test_a_body_of_11_mib_is_413(tenant):
    for send in (lambda body: tenant.api.post("order", body), tenant.api.batch):
        error = error_of(send(b"[" + b"1," * ((11 << 20) // 2) + b"1]"))
        assert error.status == 413, error


def test_an_event_over_the_limit_is_413_alone_and_refused_in_a_batch(tenant, accepted):
    big = {"user_id": "u", "source": "web", "type": "t", "payload": "x" * (300 << 10)}
    error = error_of(tenant.api.post("signal", big))
    assert (error.status, error.code) == (413, "body_too_large")
    items = tenant.api.batch([("signal", big), ("order", {**GOOD, "order_id": "beside"})]).json()["items"]
    assert [item["status"] for item in items] == ["rejected", "accepted"]
    assert items[0]["code"] == "too_large"
    accepted.append(items[1]["event_id"])


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "", None, "application/jso",
                                          "multipart/form-data; boundary=x", "application/json5"])
def test_a_wrong_content_type_is_415(tenant, content_type):
    headers = {} if content_type is None else {"Content-Type": content_type}
    for path in ("/v1/events/order", "/v2/events"):
        error = error_of(tenant.api.request("POST", path, data=text(), headers=headers))
        assert (error.status, error.field) == (415, "Content-Type"), error


def test_a_content_type_with_parameters_is_taken(tenant, accepted):
    response = tenant.api.request("POST", "/v1/events/order", data=text(),
                                  headers={"Content-Type": "Application/JSON; charset=utf-8"})
    assert response.status_code == 202
    accepted.append(response.json()["event_id"])


@pytest.mark.parametrize("name", ["nothing", "Order", "order-value", "x" * 64, "..%2f", "%00", "ordér"])
def test_an_unknown_type_is_refused(tenant, name):
    assert error_of(tenant.api.request("POST", f"/v1/events/{name}", data=text(), headers=JSON)
                    ).status in (400, 404)


def test_a_client_that_stops_in_the_middle_leaves_nothing_behind(stack, tenant):
    host, port = stack.url.removeprefix("http://").split(":")
    head = (f"POST /v1/events/order HTTP/1.1\r\nHost: x\r\nX-API-Key: {tenant.key}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n").encode()
    for _ in range(20):
        with socket.create_connection((host, int(port)), timeout=5) as half:
            half.sendall(head + b'{"order_id":"half')
