"""Readings of devices and activity on pages: latest values, history, counts, leaderboard."""

import datetime

import pytest
from lib import events
from lib.api import error_of
from lib.events import rfc3339

MINUTE = datetime.timedelta(minutes=1)
SECOND = datetime.timedelta(seconds=1)
HOUR = 60 * MINUTE

LATEST, HISTORY = "/v1/metrics/iot/latest", "/v1/metrics/iot/history"
ACTIVITY, LEADERS = "/v1/metrics/activity/latest", "/v1/metrics/activity/leaderboard"


@pytest.fixture
def now():
    return events.now().replace(second=0, microsecond=0)


def reading(device, metric, at, value, **more):
    return "reading", {"device_id": device, "metric": metric, "value": value, "ts": rfc3339(at, 6), **more}


def activity(number, kind, page, at):
    return "activity", {"event_id": f"a-{number}", "user_id": "u", "event_type": kind, "page": page,
                        "ts": rfc3339(at)}


def send(tenant, *batch):
    answer = tenant.api.batch(list(batch)).json()
    assert answer["accepted"] == len(batch), answer
    tenant.wait_for(len(batch))


def test_the_latest_reading_of_each_series(tenant, now):
    send(tenant, reading("d-1", "temperature", now - 3 * HOUR, 10),
         reading("d-1", "temperature", now - 5 * MINUTE, 20.5, unit="C"),
         reading("d-1", "temperature", now - 5 * MINUTE + 20 * SECOND, -3.25, unit="C"),
         reading("d-1", "temperature", now - 5 * MINUTE + 10 * SECOND, 99),
         reading("d-1", "humidity", now - 3 * HOUR, 0),
         reading("d-2", "temperature", now - 5 * MINUTE, 1e-7),
         reading("d-3", "temperature", now - 23 * HOUR, 7),
         reading("d-4", "temperature", now - 30 * HOUR, 8),
         reading("d-5", "temperature", now + 3 * MINUTE, 9))
    seen = {(item["device_id"], item["metric"]): item for item in tenant.api.items(LATEST)}
    assert list(seen) == [("d-1", "humidity"), ("d-1", "temperature"), ("d-2", "temperature"),
                          ("d-3", "temperature"), ("d-5", "temperature")], "24 h; a clock ahead counts"
    assert seen["d-1", "temperature"] == {"device_id": "d-1", "metric": "temperature", "value": -3.25, "unit": "C",
                                          "ts": rfc3339(now - 5 * MINUTE + 20 * SECOND)}
    assert (seen["d-1", "humidity"]["value"], seen["d-1", "humidity"]["unit"]) == (0, None)
    assert seen["d-2", "temperature"]["value"] == 1e-7

    names = lambda **params: [(item["device_id"], item["metric"]) for item in tenant.api.items(LATEST, **params)]
    assert names(device_id="d-1") == [("d-1", "humidity"), ("d-1", "temperature")]
    assert names(metric="humidity") == [("d-1", "humidity")]
    assert names(minutes=60) == [("d-1", "temperature"), ("d-2", "temperature"), ("d-5", "temperature")]
    assert ("d-4", "temperature") in names(minutes=10080)
    assert names(limit=2) == [("d-1", "humidity"), ("d-1", "temperature")]
    assert names(device_id="d-9") == []


def test_the_history_of_one_series(tenant, now):
    ages = [300 * MINUTE, 90 * MINUTE, 50 * MINUTE, 50 * MINUTE - 20 * SECOND, 5 * MINUTE]
    send(tenant, *(reading("a:b:c", "t", now - age, n) for n, age in enumerate(ages)),
         reading("a:b:c", "other", now - 5 * MINUTE, 100), reading("other", "t", now - 5 * MINUTE, 200))
    values = lambda **params: [item["value"] for item in tenant.api.items(HISTORY, key="a:b:c:t", **params)]

    assert values() == [2, 3, 4], "an hour, oldest first"
    assert tenant.api.items(HISTORY, key="a:b:c:t", limit=1) == [
        {"ts": rfc3339(now - 5 * MINUTE), "value": 4, "unit": None}]
    assert values(limit=2) == [3, 4]
    assert values(minutes=120) == [1, 2, 3, 4]
    everything = rfc3339(now - 10 * HOUR)
    assert values(**{"from": everything}) == [0, 1, 2, 3, 4]
    assert values(**{"from": everything, "limit": 4}) == [1, 2, 3, 4]
    assert values(**{"from": everything, "to": rfc3339(now - 50 * MINUTE + 10 * SECOND)}) == [0, 1, 2]
    # The minute that the end cuts holds two: one too few may not count as enough.
    assert values(**{"from": everything, "to": rfc3339(now - 50 * MINUTE + 10 * SECOND), "limit": 2}) == [1, 2]
    assert values(**{"from": rfc3339(now - 50 * MINUTE + SECOND), "to": rfc3339(now)}) == [3, 4]
    assert values(to=rfc3339(now - 80 * MINUTE)) == [1]
    assert tenant.api.items(HISTORY, key="a:b:c:none") == []


def test_counts_of_the_latest_minute(tenant, now):
    at = now - 3 * MINUTE
    send(tenant, *(activity(n, "page_view", "/a", at) for n in range(3)), activity(10, "click", "/a", at),
         activity(11, "click", "/b", at), activity(12, "purchase", "/b", at - 2 * MINUTE),
         activity(13, "click", "/c", now + 5 * MINUTE))
    window = {"window_start": rfc3339(at), "window_end": rfc3339(at + MINUTE)}
    assert tenant.api.items(ACTIVITY) == [{**window, "event_type": "click", "count": 2},
                                          {**window, "event_type": "page_view", "count": 3}]
    assert [(item["event_type"], item["count"]) for item in tenant.api.items(ACTIVITY, page="/b")] == [("click", 1)]
    assert tenant.api.items(ACTIVITY, page="/none") == []


def test_pages_by_purchases(tenant, now):
    at = now - 2 * MINUTE
    bought = [activity(f"{page}-{n}", "purchase", f"/p{page:02}", at) for page in range(1, 13) for n in range(page)]
    send(tenant, *bought, activity("v", "page_view", "/seen", at),
         *(activity(f"old-{n}", "purchase", "/old", now - 3 * HOUR) for n in range(20)))
    top = tenant.api.items(LEADERS)
    assert top == [{"page": f"/p{n:02}", "purchases": n} for n in range(12, 2, -1)], "ten, of one hour"
    assert tenant.api.items(LEADERS, n=1, minutes=240) == [{"page": "/old", "purchases": 20}]
    assert len(tenant.api.items(LEADERS, n=100)) == 12


@pytest.mark.parametrize("path,params,field,allowed", [
    (LATEST, {"limit": 5001}, "limit", "5000"),
    (LATEST, {"minutes": 10081}, "minutes", "10080"),
    (LATEST, {"key": "d:m"}, "key", "device_id"),
    (LATEST, {"device_id": "x" * 257}, "device_id", "256"),
    (HISTORY, {}, "key", "device:metric"),
    (HISTORY, {"key": "device"}, "key", "device:metric"),
    (HISTORY, {"key": "device:"}, "key", "device:metric"),
    (HISTORY, {"key": "d:m", "limit": 5001}, "limit", "5000"),
    (HISTORY, {"key": "d:m", "minutes": 5, "from": "2026-01-01T00:00:00Z"}, "minutes", "from"),
    (HISTORY, {"key": "d:m", "from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "from", "before"),
    (ACTIVITY, {"minutes": 5}, "minutes", "page"),
    (LEADERS, {"n": 101}, "n", "100"),
    (LEADERS, {"by": "clicks"}, "by", "minutes"),
])
def test_a_wrong_parameter_is_named_with_what_is_allowed(demo, path, params, field, allowed):
    error = error_of(demo.get(path, **params))
    assert (error.status, error.code, error.field) == (400, "invalid_parameter", field)
    assert allowed in error.message, error.message
