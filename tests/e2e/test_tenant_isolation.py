"""Tenant A never reads or writes what is tenant B's, by whatever way it tries."""

import concurrent.futures
import datetime
import json
import uuid

import psycopg2
import pytest
import requests
from lib import events
from lib.api import JSON, Api, error_of
from lib.tenants import Tenant
from lib.waiting import until

READS = ("/v1/kpi/minute", "/v1/kpi/hour", "/v1/kpi/latest", "/v1/kpi/latest?bucket=hour", "/v1/metrics",
         "/v1/metrics/latest", "/v1/streams/top", "/v1/streams/top?by=chat_messages",
         "/v1/streams/top?by=active_viewers", "/v1/metrics/iot/latest",
         "/v1/metrics/iot/history?key=device-1:temperature", "/v1/metrics/activity/latest",
         "/v1/metrics/activity/leaderboard", "/v1/signals", "/v1/anomalies", "/v1/alerts",
         "/v1/alerts?source=rule", "/v1/alerts?source=anomaly")
VIEWS = ("events", "metric_minute", "metric_hour", "metric_day", "stream_state")


EVENTS = 9


@pytest.fixture(scope="module")
def victim(stack, store):
    """Tenant B with something to see on every endpoint."""
    tenant = Tenant(stack, store)
    at = events.now() - datetime.timedelta(minutes=2)
    bodies, earlier = events.promised(at), events.promised(at - datetime.timedelta(hours=2))
    stream = {"stream_id": "b-stream", "user_id": "u", "ts": events.rfc3339(at)}
    tenant.api.batch([("order", bodies["order"]), ("stream", bodies["stream"]),
                      ("order", {**earlier["order"], "order_id": "o-2"}),
                      ("stream", {"event_type": "chat_message", **stream}),
                      ("stream", {"event_type": "viewer_join", **stream}), ("signal", bodies["signal"]),
                      ("reading", bodies["reading"]), ("activity", bodies["activity"]),
                      ("activity", {**bodies["activity"], "event_type": "purchase"})])
    tenant.wait_for(EVENTS)
    store.owner.rows("INSERT INTO data.anomalies (tenant_id, id, anomaly_type, severity, detection_ts)"
                     " VALUES (%s, gen_random_uuid(), 'of b', 3, %s)", tenant.id, at)
    store.owner.rows("INSERT INTO data.alerts (tenant_id, id, rule_id, rule_name, severity, fired_at)"
                     " VALUES (%s, gen_random_uuid(), gen_random_uuid(), 'of b', 3, %s)", tenant.id, at)
    for path in READS:
        until(lambda p=path: tenant.api.items(p), 3, f"the victim has something on {path}")
    return tenant


@pytest.fixture(scope="module")
def reader(stack, store):
    """Tenant A where it only looks."""
    return Tenant(stack, store)


def forged(victim, secret):
    return {"X-Tidegate-Tenant": victim.id, "X-Tidegate-Secret": secret, "X-Tidegate-Deadline-Ms": "1",
            "x-tidegate-scopes": "admin"}


@pytest.mark.parametrize("path", READS)
def test_reads_show_nothing_of_another_tenant(reader, victim, path):
    assert reader.api.read(path)["items"] == []
    assert reader.api.read(path)["freshness"]["newest_minute"] is None


@pytest.mark.parametrize("path", ["/v1/metrics", "/v1/metrics/latest"])
def test_anothers_identifier_finds_nothing(reader, victim, path):
    for name in ("b-stream", "stream_1001", f"{victim.id}/b-stream", "%", "' OR 1=1 --"):
        assert reader.api.items(path, stream_id=name) == []
    assert victim.api.items(path, stream_id="b-stream")


@pytest.mark.parametrize("field", ["tenant", "tenant_id", "X-Tidegate-Tenant"])
def test_no_parameter_or_field_names_a_tenant(reader, victim, field):
    assert error_of(reader.api.get("/v1/kpi/minute", **{field: victim.id})).status == 400
    body = events.promised(events.now())["order"]
    assert error_of(reader.api.post("order", {**body, field: victim.id})).code == "unknown_field"
    item = json.dumps([{"type": "order", "data": body, field: victim.id}]).encode()
    assert reader.api.batch(item).json()["items"][0]["code"] == "unknown_field"


def test_forged_headers_change_nothing(stack, tenant, victim):
    body = events.promised(events.now())["order"]
    for secret in ("x", stack.secret):
        liar = Api(stack.url, tenant.key, forged(victim, secret))
        liar.accept("order", body)
        assert liar.batch([("order", body)]).status_code == 202
        for path in READS:
            assert all("b-stream" != item.get("stream_id") for item in liar.items(path))
        assert liar.read("/v2/registry/subjects") == tenant.api.read("/v2/registry/subjects")
    (row,) = tenant.wait_for(1)
    assert row.event_id == events.named_id(tenant.id, "order", "o-1")
    assert victim.store.count(victim.id) == EVENTS
    victim.check_folds()


def test_without_a_key_forged_headers_open_nothing(stack, victim):
    for headers in ({}, {"X-Tidegate-Tenant": victim.id}, {"X-Tidegate-Tenant": victim.id,
                                                           "X-Tidegate-Secret": stack.secret}):
        nobody = Api(stack.url, headers=headers)
        for path in READS:
            assert error_of(nobody.get(path)).status == 401
        assert error_of(nobody.post("order", events.promised(events.now())["order"])).status == 401
        assert error_of(nobody.batch([])).status == 401
        assert error_of(nobody.get("/v2/registry/subjects")).status == 401
    assert victim.store.count(victim.id) == EVENTS


def test_the_same_identifier_is_another_event(tenant, victim):
    tenant.api.accept("order", {**events.promised(events.now())["order"], "amount": 999})
    tenant.wait_for(1)
    assert 999 not in [row.value for row in victim.events()]
    victim.check_folds()


UPSTREAMS = [("ingestion", "POST", "/v1/events/order"), ("ingestion", "POST", "/v2/events"),
             *(("query", "GET", path) for path in READS),
             ("registry", "GET", "/subjects"), ("registry", "GET", "/schemas/ids/1"),
             ("registry", "GET", "/subjects/order-value/versions"),
             ("registry", "POST", "/subjects/x-value/versions"), ("registry", "POST", "/subjects/x-value")]


@pytest.mark.parametrize("service,method,path", UPSTREAMS)
def test_an_upstream_answers_the_gateway_only(stack, victim, service, method, path):
    body = json.dumps(events.promised(events.now())["order"]) if method == "POST" else None

    def call(**more):
        headers = {**JSON, "X-Tidegate-Tenant": victim.id, "X-API-Key": victim.key, **more}
        return requests.request(method, stack.upstream(service) + path, data=body, headers=headers, timeout=5)

    right = stack.secret
    for wrong in ({}, {"X-Tidegate-Secret": ""}, {"X-Tidegate-Secret": "x" * len(right)},
                  {"X-Tidegate-Secret": right[:-1]}, {"X-Tidegate-Secret": right + "0"},
                  {"X-Tidegate-Secret": right.swapcase()}):
        if wrong.get("X-Tidegate-Secret") == right:
            continue
        assert call(**wrong).status_code == 403, wrong
    assert call(**{"X-Tidegate-Secret": right}).status_code not in (403, 404, 405), "the path exists"


def test_registry_contexts_are_apart(tenant, other):
    name = f"own_{uuid.uuid4().hex[:8]}"
    schema = {"type": "record", "name": "Own", "fields": [
        {"name": "thing", "type": "string", "role": "entity"},
        {"name": "n", "type": "double", "role": "value"}]}
    path = f"/v2/registry/subjects/{name}-value"
    post = lambda who: who.api.request("POST", path + "/versions", headers=JSON,
                                       data=json.dumps({"schema": json.dumps(schema)}))
    number = post(other).json()["id"]
    other.api.accept(name, {"thing": "t", "n": 1})
    other.wait_for(1)

    assert f"{name}-value" in other.api.read("/v2/registry/subjects")
    assert f"{name}-value" not in tenant.api.read("/v2/registry/subjects")
    for target in (path + "/versions", path + "/versions/1", path + "/versions/latest",
                   f"/v2/registry/schemas/ids/{number}"):
        assert other.api.get(target).status_code == 200, target
        assert error_of(tenant.api.get(target)).status == 404, target
    assert error_of(tenant.api.post(name, {"thing": "t", "n": 1})).code == "unknown_type"
    assert post(tenant).json()["id"] != number, "one id per context and schema"
    assert error_of(tenant.api.request("POST", "/v2/registry/subjects/order-value/versions", headers=JSON,
                                       data=json.dumps({"schema": json.dumps(schema)}))).status == 403


def test_many_readers_at_once_see_their_own_only(tenant, victim):
    """Pooled connections, shared queries and the cache under both tenants at the same moment."""
    tenant.api.accept("stream", {"event_type": "chat_message", "stream_id": "a-stream", "user_id": "u"})
    tenant.wait_for(1)
    expected = {tenant: {"a-stream"}, victim: {"b-stream", "stream_1001"}}

    def read(number):
        who = (tenant, victim)[number % 2]
        api = Api(who.stack.url, who.key)
        items = api.items("/v1/metrics", minutes=60 + number % 7)
        return who, {item["stream_id"] for item in items}

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for who, seen in pool.map(read, range(200)):
            assert seen == expected[who]


def test_the_views_show_nothing_without_a_tenant_and_forget_the_last(stack, reader, victim):
    connection = psycopg2.connect(stack.settings("query")["pg.dsn"])
    cursor = connection.cursor()

    def seen(view):
        cursor.execute(f"SELECT DISTINCT tenant_id FROM api.{view}")
        return {row[0] for row in cursor.fetchall()}

    for view in VIEWS:
        assert seen(view) == set()
        cursor.execute("SELECT set_config('tidegate.tenant', %s, true)", (victim.id,))
        assert seen(view) == {victim.id}
        connection.commit()
        assert seen(view) == set(), "a pooled connection forgets its tenant"
        cursor.execute("SELECT set_config('tidegate.tenant', %s, true)", (reader.id,))
        assert seen(view) == set()
        connection.rollback()
    for table in ("data.events", "data.metric_minute", "control.tenants", "control.api_keys",
                  "data.dead_letters", "control.schemas"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute(f"SELECT * FROM {table}")
        connection.rollback()
    connection.close()
