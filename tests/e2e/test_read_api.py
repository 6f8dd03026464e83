"""The v1 read API: parameters, defaults, limits, filters, freshness, and what it says to a wrong question."""

import datetime

import pytest
from lib import events
from lib.api import error_of
from lib.events import rfc3339
from lib.waiting import until

MINUTE = datetime.timedelta(minutes=1)
HOUR = 60 * MINUTE


def order(number, at, amount=10, currency="USD"):
    return "order", {"order_id": f"o-{number}", "customer_id": "c", "amount": amount,
                     "currency": currency, "channel": "web", "event_time": rfc3339(at)}


def session(number, kind, at):
    return "session", {"session_id": f"s-{number}", "event_type": kind, "channel": "web",
                       "event_time": rfc3339(at)}


def stream(number, kind, at, stream_id="s", **more):
    return "stream", {"event_id": f"e-{number}", "event_type": kind, "stream_id": stream_id,
                      "user_id": "u", "ts": rfc3339(at), **more}


def send(tenant, *batch):
    answer = tenant.api.batch(list(batch)).json()
    assert answer["accepted"] == len(batch), answer
    tenant.wait_for(len(batch))


@pytest.fixture
def now():
    return events.now().replace(second=0, microsecond=0)


def test_default_windows_and_limits_of_the_kpis(tenant, now):
    ages = [1 * MINUTE, 90 * MINUTE, 3 * HOUR, 50 * HOUR, 80 * HOUR]
    send(tenant, *(order(n, now - age, amount=n + 1) for n, age in enumerate(ages)))
    revenue = lambda path, **q: [item["revenue"] for item in tenant.api.items(path, **q)]

    assert revenue("/v1/kpi/minute") == [2, 1], "two hours, oldest first"
    assert revenue("/v1/kpi/hour")[0] == 4, "three days"
    everything = {"from": rfc3339(now - 100 * HOUR)}
    assert revenue("/v1/kpi/minute", **everything) == [5, 4, 3, 2, 1]
    assert revenue("/v1/kpi/minute", limit=2, **everything) == [2, 1], "the newest ones"
    window = {"from": rfc3339(now - 4 * HOUR), "to": rfc3339(now - 80 * MINUTE)}
    assert revenue("/v1/kpi/minute", **window) == [3, 2]
    assert revenue("/v1/kpi/minute", **{"from": int((now - 4 * HOUR).timestamp()),
                                        "to": int((now - 80 * MINUTE).timestamp())}) == [3, 2]


def test_a_limit_takes_the_newest_rows_of_the_whole_answer(tenant, now):
    """Orders and sessions are each read only as far back as the limit can need."""
    currencies = {1: ["USD"], 2: [], 3: ["EUR", "USD"], 4: ["CHF", "EUR", "USD"], 6: [], 7: ["EUR"], 9: []}
    viewed = {2, 3, 5, 6, 8, 9}
    orders = [order(f"{age}-{currency}", now - age * MINUTE, age, currency)
              for age, list_ in currencies.items() for currency in list_]
    send(tenant, *orders, *(session(age, "view", now - age * MINUTE) for age in viewed))
    for path in ("/v1/kpi/minute", "/v1/kpi/hour"):
        whole = tenant.api.items(path, limit=5000)
        newest = sorted(whole, key=lambda row: row["currency"] or "~")
        newest.sort(key=lambda row: row["bucket"], reverse=True)
        assert len(whole) == 12 if path.endswith("minute") else len(whole) >= 3
        for limit in range(1, len(whole) + 2):
            kept = newest[:limit]
            had = tenant.api.items(path, limit=limit)
            assert had == [row for row in whole if row in kept], (path, limit)


def test_revenue_is_never_summed_over_currencies(tenant, now):
    at = now - 2 * MINUTE
    send(tenant, order(1, at, 10.1), order(2, at, 20.2), order(3, at, 7, "EUR"),
         session(1, "view", at), session(2, "view", at), session(3, "view", at),
         session(4, "checkout", at), session(5, "purchase", at))
    items = {item["currency"]: item for item in tenant.api.items("/v1/kpi/minute")}
    assert set(items) == {"USD", "EUR"}
    assert (items["USD"]["revenue"], items["USD"]["orders"], items["USD"]["avg_order"]) == (30.3, 2, 15.15)
    assert (items["EUR"]["revenue"], items["EUR"]["orders"]) == (7, 1)
    for item in items.values():
        assert (item["views"], item["checkouts"], item["purchases"]) == (3, 1, 1)
        assert item["conversion"] == pytest.approx(1 / 3, abs=1e-6)
    (only,) = tenant.api.items("/v1/kpi/minute", currency="EUR")
    assert only == items["EUR"]
    assert {item["currency"] for item in tenant.api.items("/v1/kpi/latest")} == {"USD", "EUR"}
    assert [item["currency"] for item in tenant.api.items("/v1/kpi/latest", currency="USD")] == ["USD"]


def test_conversion_is_null_without_views(tenant, now):
    send(tenant, session(1, "purchase", now - 2 * MINUTE))
    (item,) = tenant.api.items("/v1/kpi/minute")
    assert (item["purchases"], item["conversion"], item["orders"]) == (1, None, 0)


def test_latest_is_the_newest_complete_bucket(tenant, now):
    send(tenant, order(1, now - 10 * MINUTE, 1), order(2, now - 3 * MINUTE, 2),
         order(3, now - 26 * HOUR, 3), order(4, now + 5 * MINUTE, 4))
    (minute,) = tenant.api.items("/v1/kpi/latest")
    assert minute["revenue"] == 2
    assert tenant.api.items("/v1/kpi/latest", bucket="minute") == [minute]
    (hour,) = tenant.api.items("/v1/kpi/latest", bucket="hour")
    assert datetime.datetime.fromisoformat(hour["bucket"].replace("Z", "+00:00")) <= now - HOUR


def test_stream_metrics_per_minute(tenant, now):
    a, b = now - 5 * MINUTE, now - 3 * MINUTE
    send(tenant, stream(1, "viewer_join", a), stream(2, "viewer_join", a), stream(3, "viewer_leave", b),
         stream(4, "chat_message", b), stream(5, "donation", b, amount_usd=2.5),
         stream(6, "donation", b, amount_usd=0.1), stream(7, "viewer_join", a, "t"),
         stream(8, "chat_message", now - 2 * HOUR, "old"))
    seen = {(item["window_start"][:16], item["stream_id"]):
            (item["active_viewers"], item["chat_messages"], item["donations_usd"])
            for item in tenant.api.items("/v1/metrics")}
    key = lambda at: rfc3339(at)[:16]
    assert seen == {(key(a), "s"): (2, 0, 0), (key(b), "s"): (1, 1, 2.6), (key(a), "t"): (1, 0, 0)}
    assert len(tenant.api.items("/v1/metrics", minutes=180)) == 4, "a longer window"
    assert len(tenant.api.items("/v1/metrics", limit=1)) == 1
    assert [item["stream_id"] for item in tenant.api.items("/v1/metrics", stream_id="t")] == ["t"]
    (latest,) = tenant.api.items("/v1/metrics/latest")
    assert (latest["stream_id"], latest["active_viewers"]) == ("s", 1)
    (latest,) = tenant.api.items("/v1/metrics/latest", stream_id="t")
    assert latest["active_viewers"] == 1


def test_top_streams(tenant, now):
    at = now - 2 * MINUTE
    send(tenant, *(stream(n, "donation", at, f"s-{n:02}", amount_usd=n) for n in range(1, 16)),
         stream(20, "chat_message", at, "s-03"), stream(21, "chat_message", at, "s-03"),
         stream(22, "chat_message", at, "s-04"), stream(23, "viewer_join", at, "s-05"),
         stream(24, "donation", now - 3 * HOUR, "s-old", amount_usd=1000))
    top = tenant.api.items("/v1/streams/top")
    assert [item["stream_id"] for item in top] == [f"s-{n:02}" for n in range(15, 5, -1)], "ten, 1 hour"
    assert tenant.api.items("/v1/streams/top", minutes=240, n=1) == [
        {"stream_id": "s-old", "donations_usd": 1000}]
    assert tenant.api.items("/v1/streams/top", by="chat_messages") == [
        {"stream_id": "s-03", "chat_messages": 2}, {"stream_id": "s-04", "chat_messages": 1}]
    assert tenant.api.items("/v1/streams/top", by="active_viewers", n=1) == [
        {"stream_id": "s-05", "active_viewers": 1}]


@pytest.mark.parametrize("path,params,field,allowed", [
    ("/v1/kpi/minute", {"limit": 0}, "limit", "5000"),
    ("/v1/kpi/minute", {"limit": 5001}, "limit", "5000"),
    ("/v1/kpi/minute", {"limit": "many"}, "limit", "5000"),
    ("/v1/kpi/minute", {"from": "yesterday"}, "from", "RFC 3339"),
    ("/v1/kpi/hour", {"to": "2026-13-01T00:00:00Z"}, "to", "RFC 3339"),
    ("/v1/kpi/hour", {"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "from", "before"),
    ("/v1/kpi/minute", {"currency": "x" * 300}, "currency", "256"),
    ("/v1/kpi/minute", {"colour": "red"}, "colour", "from"),
    ("/v1/kpi/minute", {"limit": [1, 2]}, "limit", "once"),
    ("/v1/kpi/latest", {"bucket": "day"}, "bucket", "minute"),
    ("/v1/metrics", {"minutes": 0}, "minutes", "10080"),
    ("/v1/metrics", {"minutes": 10081}, "minutes", "10080"),
    ("/v1/metrics", {"limit": -1}, "limit", "5000"),
    ("/v1/metrics", {"stream_id": ""}, "stream_id", "256"),
    ("/v1/metrics/latest", {"minutes": 5}, "minutes", "stream_id"),
    ("/v1/streams/top", {"by": "likes"}, "by", "donations_usd"),
    ("/v1/streams/top", {"n": 101}, "n", "100"),
    ("/v1/streams/top", {"n": "1e3"}, "n", "100"),
])
def test_a_wrong_parameter_is_named_with_what_is_allowed(demo, path, params, field, allowed):
    error = error_of(demo.get(path, **params))
    assert (error.status, error.code, error.field) == (400, "invalid_parameter", field)
    assert allowed in error.message, error.message


def test_answers_tell_their_freshness_and_are_not_sent_again(tenant, now):
    at = now - 2 * MINUTE
    send(tenant, order(1, at))
    answer = tenant.api.read("/v1/kpi/minute")
    assert answer["freshness"]["newest_minute"][:16] == rfc3339(at)[:16]
    assert set(answer["freshness"]) == {"newest_minute", "as_of", "cached"}
    until(lambda: tenant.api.read("/v1/kpi/minute")["freshness"]["cached"], 3, "the cache is used")

    first = tenant.api.get("/v1/kpi/minute")
    tag = first.headers["ETag"]
    again = tenant.api.request("GET", "/v1/kpi/minute", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    send_more = order(2, at)
    tenant.api.batch([send_more])
    tenant.wait_for(2)
    until(lambda: tenant.api.request("GET", "/v1/kpi/minute", headers={"If-None-Match": tag})
          .status_code == 200, 3, "the tag changes with the content")


def test_an_empty_tenant_reads_empty_lists(tenant):
    for path in ("/v1/kpi/minute", "/v1/kpi/hour", "/v1/kpi/latest", "/v1/metrics",
                 "/v1/metrics/latest", "/v1/streams/top"):
        assert tenant.api.items(path) == []


@pytest.mark.parametrize("method,path,status", [
    ("GET", "/v1/nothing", 404), ("GET", "/v1/events/order", 405), ("POST", "/v1/kpi/minute", 405),
    ("DELETE", "/v1/metrics", 405), ("GET", "/v1/kpi/fortnight", 404),
])
def test_paths_that_are_not_there(demo, method, path, status):
    assert error_of(demo.request(method, path)).status == status
