"""The admin API: tenants, plans, keys and the audit log; how fast every gateway follows; last uses, failed
attempts, and that no key is ever written down."""

import concurrent.futures
import json
import time
import uuid

import pytest
from lib import events, metrics
from lib.api import Api, error_of
from lib.process import Service, free_port
from lib.waiting import holds, until

BASE = "/admin/v1"


class Admin(Api):
    def call(self, method, path, body=None, **params):
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request(method, BASE + path, data=data, params=params)

    def done(self, method, path, body=None, **params):
        """The JSON of a call that must succeed."""
        response = self.call(method, path, body, **params)
        assert response.status_code in (200, 201), f"{method} {path} {body}: {response.status_code} {response.text}"
        return response.json()

    def refused(self, method, path, body=None, **params):
        response = self.call(method, path, body, **params)
        assert response.headers["Content-Type"] == "application/problem+json"
        return tuple(error_of(response))[:3]

    def everything(self, path, limit, **params):
        """All items of a list, page by page."""
        items, cursor = [], None
        while True:
            page = self.done("GET", path, limit=limit, **params, **({"cursor": cursor} if cursor else {}))
            assert len(page["items"]) <= limit
            items += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return items


@pytest.fixture(scope="module")
def admin(stack):
    api = Admin(stack.url, stack.cli("admin", "bootstrap", "--expires", "1h"))
    until(lambda: api.call("GET", "/limits").status_code == 200, 3, "the gateway knows the bootstrap key")
    yield api
    api.done("DELETE", f"/keys/{api.session.headers['X-API-Key'][3:15]}")


@pytest.fixture
def name():
    return f"adm-{uuid.uuid4().hex[:10]}"


def test_a_tenant_lives_and_ends(admin, stack, name):
    made = admin.done("POST", "/tenants", {"id": name, "name": "Läden", "limits": {"read_burst": 7}})
    assert (made["state"], made["plan"], made["limits"]) == ("active", "default", {"read_burst": 7})
    assert made["effective_limits"]["read_burst"] == 7
    assert made["effective_limits"]["ingest_burst"] == made["effective_limits"]["burst"]
    assert admin.refused("POST", "/tenants", {"id": name}) == (409, "conflict", "id")
    key = admin.done("POST", f"/tenants/{name}/keys", {"scopes": ["read"], "description": "one"})["key"]
    api = Api(stack.url, key)
    until(lambda: api.get("/v1/kpi/minute").status_code == 200, 3, "the new key opens")

    assert admin.done("POST", f"/tenants/{name}/suspend")["state"] == "suspended"
    until(lambda: api.get("/v1/kpi/minute").status_code == 401, 1, "suspended within a second")
    assert admin.done("POST", f"/tenants/{name}/resume")["state"] == "active"
    until(lambda: api.get("/v1/kpi/minute").status_code == 200, 1, "resumed within a second")

    changed = admin.done("PATCH", f"/tenants/{name}", {"name": "B", "limits": {"read_burst": None, "weight": 3}})
    assert (changed["name"], changed["limits"]) == ("B", {"weight": 3})
    assert admin.done("DELETE", f"/tenants/{name}")["state"] == "deleted"
    until(lambda: api.get("/v1/kpi/minute").status_code == 401, 1, "deleted within a second")
    assert admin.done("GET", f"/keys/{key[3:15]}")["state"] == "revoked"
    assert admin.refused("POST", f"/tenants/{name}/resume") == (409, "conflict", None)
    assert admin.refused("POST", f"/tenants/{name}/keys", {"scopes": ["read"]}) == (409, "conflict", None)
    assert admin.refused("POST", "/tenants", {"id": name}) == (409, "conflict", "id")
    assert name in [each["id"] for each in admin.everything("/tenants", 1000, state="deleted")]
    assert name not in [each["id"] for each in admin.everything("/tenants", 1000)]


def test_a_plan_is_made_changed_and_removed(admin, name):
    made = admin.done("POST", "/plans", {"name": name, "limits": {"requests_per_second": 5, "events_per_day": 1000}})
    assert made["effective_limits"]["ingest_requests_per_second"] == 5
    assert made["limits"]["events_per_day"] == 1000 and made["effective_limits"]["burst"] == 2000
    changed = admin.done("PATCH", f"/plans/{name}", {"limits": {"events_per_day": None, "requests_per_second": None,
                                                                "live_burst": 2}})
    assert changed["effective_limits"]["requests_per_second"] == 1000
    assert changed["effective_limits"]["events_per_day"] == 0 and changed["limits"]["live_burst"] == 2
    tenant = admin.done("POST", "/tenants", {"id": name, "plan": name})
    assert tenant["effective_limits"]["live_burst"] == 2
    assert [each["id"] for each in admin.everything("/tenants", 10, plan=name)] == [name]
    assert admin.refused("DELETE", f"/plans/{name}") == (409, "conflict", None)
    admin.done("DELETE", f"/tenants/{name}")
    admin.done("DELETE", f"/plans/{name}")
    assert admin.refused("GET", f"/plans/{name}") == (404, "not_found", None)
    assert admin.refused("DELETE", "/plans/default") == (409, "conflict", None)


def test_a_key_is_rotated_with_an_overlap(admin, stack, tenant):
    old = admin.done("POST", f"/tenants/{tenant.id}/keys",
                     {"scopes": ["read", "ingest"], "description": "d", "expires_in": 3600})
    assert old["scopes"] == ["ingest", "read"] and old["expires_at"] > old["created_at"]
    new = admin.done("POST", f"/keys/{old['id']}/rotate", overlap="2s")
    assert (new["scopes"], new["description"]) == (old["scopes"], "d")
    assert new["key"] != old["key"] and new["expires_at"] > old["expires_at"]
    first, second = Api(stack.url, old["key"]), Api(stack.url, new["key"])
    until(lambda: second.get("/v1/kpi/minute").status_code == 200, 1.5, "the new key opens")
    assert first.get("/v1/kpi/minute").status_code == 200
    until(lambda: first.get("/v1/kpi/minute").status_code == 401, 4, "the old key ends")
    assert admin.done("GET", f"/keys/{old['id']}")["state"] == "expired"
    third = admin.done("POST", f"/keys/{new['id']}/rotate", overlap="0s")
    assert admin.done("GET", f"/keys/{new['id']}")["state"] == "revoked"
    assert admin.refused("POST", f"/keys/{new['id']}/rotate") == (409, "conflict", None)
    changed = admin.done("PATCH", f"/keys/{third['id']}", {"scopes": ["manage"], "expires_at": None})
    assert (changed["scopes"], changed["expires_at"]) == (["manage"], None)
    listed = admin.everything(f"/tenants/{tenant.id}/keys", 1)
    assert {each["id"] for each in listed} == {tenant.key[3:15], old["id"], new["id"], third["id"]}
    assert not any("key" in each or "secret_sha256" in each for each in listed)


@pytest.mark.parametrize("method, path, body, expected", [
    ("POST", "/tenants", {}, (400, "invalid_field", "id")),
    ("POST", "/tenants", {"id": "Upper"}, (400, "invalid_field", "id")),
    ("POST", "/tenants", {"id": 5}, (400, "invalid_field", "id")),
    ("POST", "/tenants", {"id": "x", "operator": True}, (400, "invalid_field", "operator")),
    ("POST", "/tenants", {"id": "x", "name": "n" * 257}, (400, "invalid_field", "name")),
    ("POST", "/tenants", {"id": "x", "plan": "none"}, (400, "invalid_field", "plan")),
    ("POST", "/tenants", {"id": "x", "limits": []}, (400, "invalid_field", "limits")),
    ("POST", "/tenants", {"id": "x", "limits": {"burst": 0}}, (400, "invalid_field", "limits.burst")),
    ("POST", "/tenants", {"id": "x", "limits": {"burst": "5"}}, (400, "invalid_field", "limits.burst")),
    ("POST", "/tenants", {"id": "x", "limits": {"burst": 1e99}}, (400, "invalid_field", "limits.burst")),
    ("POST", "/tenants", {"id": "x", "limits": {"colour": 1}}, (400, "invalid_field", "limits.colour")),
    ("POST", "/tenants", b'{"id":"x","id":"y"}', (400, "invalid_field", "id")),
    ("POST", "/tenants", b'{"id":"x"', (400, "invalid_json", None)),
    ("POST", "/tenants", b"[]", (400, "invalid_json", None)),
    ("POST", "/tenants", b'{"id":"a\\u0000"}', (400, "invalid_value", None)),
    ("POST", "/tenants", b"\xff", (400, "invalid_json", None)),
    ("POST", "/tenants/nobody/keys", {"scopes": ["read"]}, (404, "not_found", None)),
    ("POST", "/tenants/demo/keys", {"scopes": []}, (400, "invalid_field", "scopes")),
    ("POST", "/tenants/demo/keys", {"scopes": ["read", "root"]}, (400, "invalid_field", "scopes")),
    ("POST", "/tenants/demo/keys", {"scopes": ["admin"]}, (400, "invalid_field", "scopes")),
    ("POST", "/tenants/demo/keys", {"scopes": ["read"], "expires_at": "tomorrow"},
     (400, "invalid_field", "expires_at")),
    ("POST", "/tenants/demo/keys", {"scopes": ["read"], "expires_in": 0}, (400, "invalid_field", "expires_in")),
    ("PATCH", "/tenants/nobody", {}, (404, "not_found", None)),
    ("PATCH", "/keys/000000000000", {}, (404, "not_found", None)),
    ("POST", "/tenants/operator/suspend", None, (409, "conflict", None)),
    ("DELETE", "/tenants/operator", None, (409, "conflict", None)),
    ("GET", "/audit?cursor=x", None, (400, "invalid_field", "cursor")),
    ("GET", "/audit?limit=1001", None, (400, "invalid_parameter", "limit")),
    ("GET", "/tenants?colour=red", None, (400, "invalid_parameter", "colour")),
    ("POST", "/keys/000000000000/rotate?overlap=99y", None, (400, "invalid_parameter", "overlap")),
])
def test_a_refusal_names_the_field(admin, method, path, body, expected):
    assert admin.refused(method, path, body) == expected


def test_only_operators_keys_come_in(stack, tenant):
    """A key whose row says admin, but whose tenant is no operator's, is none."""
    assert error_of(Api(stack.url).get(BASE + "/tenants"))[:2] == (401, "missing_key")
    assert error_of(tenant.api.get(BASE + "/tenants"))[:2] == (403, "insufficient_scope")
    forged = tenant.make_key("read")
    tenant.store.owner.rows("UPDATE control.api_keys SET scopes = '{admin,read,manage}' WHERE id = %s", forged[3:15])
    api = Api(stack.url, forged)
    holds(lambda: api.get(BASE + "/tenants").status_code == 403, 0.6, "the scope admin counts for operators only")


def test_every_change_is_in_the_audit_log(admin, stack, store, name):
    """Through the API with key and address, through the command line and by plain SQL with the role."""
    admin.done("POST", "/tenants", {"id": name})
    key = admin.done("POST", f"/tenants/{name}/keys", {"scopes": ["read"]})
    admin.done("DELETE", f"/keys/{key['id']}")
    stack.cli("tenant", "suspend", name)
    store.owner.rows("UPDATE control.tenants SET name = 'by hand' WHERE id = %s", name)
    admin.refused("PATCH", f"/tenants/{name}", {"limits": {"burst": -1}})  # changes nothing
    rows = admin.everything("/audit", 2, tenant=name)
    assert [row["action"] for row in rows] == ["tenant.update", "tenant.suspend", "key.revoke", "key.create",
                                               "tenant.create"]
    me = "key:" + admin.session.headers["X-API-Key"][3:15]
    assert [row["actor"] for row in rows] == ["sql:tidegate", "sql:tidegate", me, me, me]
    assert {row["address"] for row in rows} == {"127.0.0.1"}
    assert rows[0]["before"]["name"] == "" and rows[0]["after"]["name"] == "by hand"
    assert rows[2]["before"]["revoked_at"] is None and rows[2]["after"]["revoked_at"] is not None
    assert rows[4]["before"] is None and rows[4]["after"]["id"] == name
    assert "secret_sha256" not in json.dumps(rows)
    assert [row["action"] for row in admin.everything("/audit", 10, tenant=name, action="key.create")] == ["key.create"]
    admin.done("DELETE", f"/tenants/{name}")


@pytest.fixture
def second(stack):
    """Another gateway on the same stack, with little patience for wrong keys."""
    port = free_port()
    with Service(stack, "gateway", own_ports=True, http_listen=f"127.0.0.1:{port}", watch_stale="1s",
                 auth_failures_burst=5, auth_failures_per_minute=60) as service:
        service.wait_ready()
        service.url = f"http://127.0.0.1:{port}"
        yield service


def test_two_gateways_follow_within_a_second(admin, stack, second, name):
    gateways = stack.url, second.url
    admin.done("POST", "/plans", {"name": name, "limits": {"read_requests_per_second": 1000}})
    admin.done("POST", "/tenants", {"id": name, "plan": name})
    key = admin.done("POST", f"/tenants/{name}/keys", {"scopes": ["read"]})

    def follow(change, seen, what):
        """How long after the change's answer the slower gateway shows it."""
        change()
        started = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for wait in [pool.submit(until, lambda api=Api(url, key["key"]): seen(api.get("/v1/kpi/minute")), 1, what,
                                     0.01) for url in gateways]:
                wait.result()
        assert time.monotonic() - started < 1

    def policy(response):
        return response.headers.get("RateLimit-Policy", "")

    follow(lambda: None, lambda response: response.status_code == 200, "a new key")
    follow(lambda: admin.done("PATCH", f"/plans/{name}", {"limits": {"read_requests_per_second": 77}}),
           lambda response: "q=77;" in policy(response), "a plan's change")
    follow(lambda: admin.done("PATCH", f"/tenants/{name}", {"limits": {"read_requests_per_second": 78}}),
           lambda response: "q=78;" in policy(response), "a tenant's own limit")
    follow(lambda: admin.done("POST", f"/tenants/{name}/suspend"), lambda response: response.status_code == 401,
           "a suspension")
    follow(lambda: admin.done("POST", f"/tenants/{name}/resume"), lambda response: response.status_code == 200,
           "its end")
    follow(lambda: admin.done("DELETE", f"/keys/{key['id']}"), lambda response: response.status_code == 401,
           "a revocation")
    admin.done("DELETE", f"/tenants/{name}")


def test_wrong_keys_are_limited_and_a_valid_one_is_not(second, tenant):
    wrong = Api(second.url, tenant.key[:-1] + ("A" if tenant.key[-1] != "A" else "B"))
    right = Api(second.url, tenant.key)
    answers = [wrong.get("/v1/kpi/minute") for _ in range(20)]
    assert [each.status_code for each in answers[:5]] == [401] * 5
    limited = [each for each in answers if each.status_code == 429]
    assert len(limited) >= 10
    assert error_of(limited[0])[:2] == (429, "too_many_failures") and int(limited[0].headers["Retry-After"]) >= 1
    assert metrics.read(second.admin)["tidegate_gateway_auth_limited_total"] == len(limited)
    until(lambda: right.get("/v1/kpi/minute").status_code == 200, 1, "the valid key opens")
    assert Api(second.url).get("/v1/kpi/minute").status_code == 401  # no key is no attempt


def test_without_the_database_the_last_snapshot_serves_and_says_its_age(stack, second, tenant):
    key = "tidegate_gateway_snapshot_age_seconds"
    assert metrics.read(second.admin)[key] <= 1
    api = Api(second.url, tenant.key)
    order = events.promised(events.now())["order"]
    until(lambda: api.post("order", {**order, "order_id": "before"}).status_code == 202, 3, "ingestion knows the type")
    stack.command("pause", "postgres")
    try:
        until(lambda: not second.is_ready(), 6, "/ready fails after watch.stale")
        assert api.post("order", order).status_code == 202
        until(lambda: metrics.read(second.admin)[key] >= 1, 5, "the age grows")
    finally:
        stack.command("resume", "postgres")
    until(second.is_ready, 15, "ready again")
    until(lambda: metrics.read(second.admin)[key] == 0, 5, "the age is new")
    assert metrics.read(second.admin)['tidegate_gateway_snapshot{what="keys"}'] > 0
    tenant.wait_for(2, seconds=30)


def test_a_last_use_is_told_once_and_no_key_is_written_down(admin, stack, store, tenant):
    for _ in range(3):
        assert tenant.api.get("/v1/kpi/minute").status_code == 200
    shown = until(lambda: admin.done("GET", f"/keys/{tenant.key[3:15]}")["last_used_at"], 8, "the last use")
    time_used = store.owner.one("SELECT used_at FROM control.key_uses WHERE key_id = %s", tenant.key[3:15])
    assert shown[:19] == time_used.astimezone(events.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fresh = admin.done("POST", f"/tenants/{tenant.id}/keys", {"scopes": ["read"]})["key"]
    wrong = Api(stack.url, fresh[:-1] + ("A" if fresh[-1] != "A" else "B"))
    assert wrong.get(BASE + "/tenants").status_code == 401
    until(lambda: Api(stack.url, fresh).get("/v1/kpi/minute").status_code == 200, 3, "the fresh key opens")
    secrets = [key[16:48].encode() for key in (tenant.key, fresh, admin.session.headers["X-API-Key"])]
    for path in (stack.run / "log").iterdir():
        text = path.read_bytes()
        assert not any(secret in text for secret in secrets), f"a key stands in {path}"
