"""Lists of single rows: signals, anomalies, alerts. The latter two are put into their tables by hand."""

import datetime
import json
import uuid

import pytest
from lib import events
from lib.api import error_of
from lib.events import rfc3339

MINUTE = datetime.timedelta(minutes=1)
HOUR = 60 * MINUTE
SIGNALS, ANOMALIES, ALERTS = "/v1/signals", "/v1/anomalies", "/v1/alerts"


@pytest.fixture
def now():
    return events.now().replace(second=0, microsecond=0)


def signal(number, at, user="u", source="web", kind="click", **more):
    return "signal", {"id": f"s-{number}", "user_id": user, "source": source, "type": kind,
                      "event_ts": rfc3339(at), **more}


def add_anomaly(store, tenant, at, severity=1, user=None, kind="high_data_value", signal_id=None, context=None):
    number = uuid.uuid4()
    store.owner.rows("INSERT INTO data.anomalies (tenant_id, id, user_id, anomaly_type, severity, detection_ts,"
                     " signal_event_id, context) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", tenant.id, number, user,
                     kind, severity, at, signal_id, json.dumps(context or {}))
    return str(number)


def add_alert(store, tenant, at, severity=2, name="revenue is low", resolved=None, acknowledged=None):
    number = uuid.uuid4()
    store.owner.rows("INSERT INTO data.alerts (tenant_id, id, rule_id, rule_name, severity, fired_at, resolved_at,"
                     " acknowledged_at, context) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, '{\"value\": 1.50}')",
                     tenant.id, number, uuid.uuid4(), name, severity, at, resolved, acknowledged)
    return str(number)


def test_signals_with_their_payload_and_filters(tenant, now):
    batch = [signal(1, now - 5 * MINUTE, payload={"a": {"b": [1, None, "ü\"\n"]}, "n": 1e3}),
             signal(2, now - 4 * MINUTE, user="v", source="api", kind="error", value=2.5),
             signal(3, now - 30 * HOUR), signal(4, now - 23 * HOUR, source="mobile")]
    answer = tenant.api.batch(batch).json()
    assert answer["accepted"] == len(batch), answer
    stored = {row.event_id: row for row in tenant.wait_for(len(batch))}

    items = tenant.api.items(SIGNALS)
    times = [now - 23 * HOUR, now - 5 * MINUTE, now - 4 * MINUTE]
    assert [item["event_ts"] for item in items] == list(map(rfc3339, times)), "24 h, oldest first"
    assert [item["id"] for item in items] == [str(events.named_id(tenant.id, "signal", f"s-{n}")) for n in (4, 1, 2)]
    _, first, second = items
    assert first["payload"] == {"a": {"b": [1, None, "ü\"\n"]}, "n": 1000}
    assert (first["user_id"], first["source"], first["type"], first["value"]) == ("u", "web", "click", None)
    assert (second["user_id"], second["source"], second["type"], second["value"]) == ("v", "api", "error", 2.5)
    assert second["payload"] is None
    for item in items:
        received = datetime.datetime.fromisoformat(item["received_at"].replace("Z", "+00:00"))
        assert received == stored[uuid.UUID(item["id"])].received_at

    count = lambda **params: len(tenant.api.items(SIGNALS, **params))
    assert [count(user_id="v"), count(source="mobile"), count(type="error"), count(user_id="none")] == [1, 1, 1, 0]
    assert count(user_id="v", type="click") == 0
    assert tenant.api.items(SIGNALS, limit=2) == [first, second], "the newest stay"
    window = {"from": rfc3339(now - 40 * HOUR), "to": rfc3339(now - 5 * MINUTE)}
    assert [item["event_ts"] for item in tenant.api.items(SIGNALS, **window)] == [
        rfc3339(now - 30 * HOUR), rfc3339(now - 23 * HOUR)], "to is exclusive"


def test_signals_of_one_moment_stay_in_one_order(tenant, now):
    at = now - 2 * MINUTE
    batch = [signal(n, at) for n in range(60)]
    assert tenant.api.batch(batch).json()["accepted"] == 60
    tenant.wait_for(60)
    everything = [item["id"] for item in tenant.api.items(SIGNALS)]
    assert everything == sorted(everything) and len(set(everything)) == 60
    assert [item["id"] for item in tenant.api.items(SIGNALS, limit=7)] == everything[-7:]


def test_the_default_and_the_greatest_limit(tenant, now):
    for start in range(0, 2100, 700):
        batch = [signal(n, now - 10 * MINUTE) for n in range(start, start + 700)]
        assert tenant.api.batch(batch).json()["accepted"] == 700
    tenant.wait_for(2100, seconds=30)
    assert len(tenant.api.items(SIGNALS)) == 500
    assert len(tenant.api.items(SIGNALS, limit=2000)) == 2000


def test_an_answer_that_would_be_too_large_is_refused(tenant, now):
    for number in range(0, 90, 10):
        batch = [signal(n, now - MINUTE, payload={"x": "y" * 200_000}) for n in range(number, number + 10)]
        assert tenant.api.batch(batch).json()["accepted"] == 10
    tenant.wait_for(90, seconds=30)
    error = error_of(tenant.api.get(SIGNALS))
    assert (error.status, error.code) == (422, "answer_too_large")
    assert len(tenant.api.items(SIGNALS, limit=50)) == 50


def test_anomalies(tenant, other, store, now):
    original = {"original_signal": {"user_id": "u", "value": 12.5}}
    event = str(uuid.uuid4())
    ids = [add_anomaly(store, tenant, now - 25 * HOUR),
           add_anomaly(store, tenant, now - 5 * HOUR, severity=3, user="u", signal_id=event, context=original),
           add_anomaly(store, tenant, now - MINUTE, severity=2, kind="z_score")]
    add_anomaly(store, other, now - MINUTE)
    first, second = tenant.api.items(ANOMALIES)
    assert first == {"id": ids[1], "user_id": "u", "anomaly_type": "high_data_value", "severity": 3,
                     "detection_ts": rfc3339(now - 5 * HOUR), "signal_event_id": event, "context": original}
    assert second == {"id": ids[2], "user_id": None, "anomaly_type": "z_score", "severity": 2,
                      "detection_ts": rfc3339(now - MINUTE), "signal_event_id": None, "context": {}}
    found = lambda **params: [item["id"] for item in tenant.api.items(ANOMALIES, **params)]
    assert found(severity=3) == found(user_id="u") == found(anomaly_type="high_data_value") == [ids[1]]
    assert found(severity=1) == []
    assert found(**{"from": rfc3339(now - 30 * HOUR)}) == ids
    assert found(limit=1) == [ids[2]]
    assert found(to=rfc3339(now - 4 * HOUR)) == ids[:2], "the default begin follows the end"


def test_rule_alerts_and_anomaly_alerts_are_told_apart(tenant, other, store, now):
    rule = add_alert(store, tenant, now - 3 * HOUR)
    done = add_alert(store, tenant, now - 2 * HOUR, severity=3, name="no orders", resolved=now - HOUR,
                     acknowledged=now - 90 * MINUTE)
    odd = add_anomaly(store, tenant, now - 90 * MINUTE, severity=3, context={"z": -7})
    old = [add_alert(store, tenant, now - 25 * HOUR), add_anomaly(store, tenant, now - 25 * HOUR)]
    add_alert(store, other, now - HOUR)
    assert tenant.api.items(ALERTS) == [
        {"id": rule, "source": "rule", "ts": rfc3339(now - 3 * HOUR), "name": "revenue is low", "severity": 2,
         "state": "firing", "resolved_at": None, "acknowledged_at": None, "context": {"value": 1.5}},
        {"id": done, "source": "rule", "ts": rfc3339(now - 2 * HOUR), "name": "no orders", "severity": 3,
         "state": "resolved", "resolved_at": rfc3339(now - HOUR), "acknowledged_at": rfc3339(now - 90 * MINUTE),
         "context": {"value": 1.5}},
        {"id": odd, "source": "anomaly", "ts": rfc3339(now - 90 * MINUTE), "name": "high_data_value", "severity": 3,
         "state": None, "resolved_at": None, "acknowledged_at": None, "context": {"z": -7}}]
    found = lambda **params: [item["id"] for item in tenant.api.items(ALERTS, **params)]
    assert found(source="rule") == [rule, done]
    assert found(source="anomaly") == [odd]
    assert found(severity=3) == [done, odd]
    assert found(source="rule", severity=1) == []
    assert found(limit=1) == [odd]
    assert set(found(**{"from": rfc3339(now - 26 * HOUR)})) == {rule, done, odd, *old}


@pytest.mark.parametrize("path,params,field,allowed", [
    (SIGNALS, {"limit": 2001}, "limit", "2000"),
    (SIGNALS, {"limit": 0}, "limit", "2000"),
    (SIGNALS, {"source": "fax"}, "source", "web|mobile|api"),
    (SIGNALS, {"user_id": ""}, "user_id", "256"),
    (SIGNALS, {"severity": 1}, "severity", "user_id"),
    (ANOMALIES, {"limit": 2001}, "limit", "2000"),
    (ANOMALIES, {"severity": 4}, "severity", "3"),
    (ANOMALIES, {"severity": "high"}, "severity", "3"),
    (ANOMALIES, {"from": "soon"}, "from", "RFC 3339"),
    (ALERTS, {"limit": 2001}, "limit", "2000"),
    (ALERTS, {"source": "both"}, "source", "rule|anomaly"),
    (ALERTS, {"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "from", "before"),
    (ALERTS, {"state": "firing"}, "state", "source"),
])
def test_a_wrong_parameter_is_named_with_what_is_allowed(demo, path, params, field, allowed):
    error = error_of(demo.get(path, **params))
    assert (error.status, error.code, error.field) == (400, "invalid_parameter", field)
    assert allowed in error.message, error.message


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1", ""])
@pytest.mark.parametrize("path", ["/signals", "/anomalies", "/alerts", "/metrics/iot/latest",
                                  "/metrics/iot/history?key=d:m", "/metrics/activity/latest",
                                  "/metrics/activity/leaderboard"])
def test_every_spelling_of_a_path_answers(demo, prefix, path):
    answer = demo.read(prefix + path)
    assert set(answer["freshness"]) == {"newest_minute", "as_of", "cached"}
    assert isinstance(answer["items"], list)
