"""API keys: what opens, what does not, and how fast a revocation is felt."""

import base64
import time

import pytest
from lib import events
from lib.api import Api, error_of
from lib.waiting import until


def answer(response):
    """What a client can tell two refusals apart by."""
    body = response.json()
    body["error"].pop("request_id")
    headers = {name: value for name, value in response.headers.items()
               if name.lower() not in ("date", "x-request-id")}
    return response.status_code, body, headers


def changed_letter(key, at):
    return key[:at] + ("A" if key[at] != "A" else "B") + key[at + 1:]


def test_a_key_is_taken_in_three_headers(tenant):
    basic = base64.b64encode(f"anyone:{tenant.key}".encode()).decode()
    for headers in ({"X-API-Key": tenant.key}, {"Authorization": f"Bearer {tenant.key}"},
                    {"Authorization": f"bearer {tenant.key}"}, {"Authorization": f"Basic {basic}"}):
        assert Api(tenant.stack.url, headers=headers).get("/v1/kpi/minute").status_code == 200


def test_unknown_wrong_revoked_and_malformed_keys_get_the_same_answer(tenant, other):
    revoked = other.make_key()
    other.stack.cli("key", "revoke", revoked[3:15])
    gone = Api(tenant.stack.url, revoked)
    until(lambda: gone.get("/v1/kpi/minute").status_code == 401, 2, "the revocation")
    key = tenant.key
    wrong = [changed_letter(key, 20), changed_letter(key, 5), changed_letter(key, len(key) - 1), key[:-1],
             key + "x", "tg_", "x", key[:16] + other.key[16:], revoked, "a" * 3000]
    answers = [answer(Api(tenant.stack.url, text).get("/v1/kpi/minute")) for text in wrong]
    assert all(each == answers[0] for each in answers)
    assert answers[0][0] == 401 and answers[0][1]["error"]["code"] == "invalid_key"
    missing = error_of(Api(tenant.stack.url).get("/v1/kpi/minute"))
    assert (missing.status, missing.code) == (401, "missing_key")


def test_two_keys_in_one_request_are_refused(tenant, other):
    both = Api(tenant.stack.url, tenant.key, {"Authorization": f"Bearer {other.key}"})
    assert both.get("/v1/kpi/minute").status_code == 400


@pytest.mark.parametrize("scopes,may_ingest,may_read,may_registry", [
    ("ingest", True, False, False), ("read", False, True, False), ("registry", False, False, True),
    ("manage", False, False, False), ("ingest,read", True, True, False),
])
def test_a_key_opens_what_its_scopes_say(tenant, scopes, may_ingest, may_read, may_registry):
    api = Api(tenant.stack.url, tenant.make_key(scopes))
    order = events.promised(events.now())["order"]
    for allowed, response in ((may_ingest, api.post("order", order)), (may_ingest, api.batch([("order", order)])),
                              (may_read, api.get("/v1/kpi/minute")), (may_read, api.get("/v1/streams/top")),
                              (may_registry, api.get("/v2/registry/subjects"))):
        if allowed:
            assert response.status_code in (200, 202)
        else:
            assert error_of(response).status == 403


@pytest.mark.parametrize("how", ["revoke", "disable", "expire"])
def test_a_key_that_ends_is_refused_within_a_second(tenant, how):
    key = tenant.make_key()
    api = Api(tenant.stack.url, key)
    assert api.get("/v1/kpi/minute").status_code == 200
    if how == "revoke":
        tenant.stack.cli("key", "revoke", key[3:15])
    elif how == "disable":
        tenant.stack.cli("tenant", "disable", tenant.id)
    else:
        tenant.store.owner.rows("UPDATE control.api_keys SET expires_at = now() WHERE id = %s", key[3:15])
    ended = time.monotonic()
    until(lambda: api.get("/v1/kpi/minute").status_code == 401, 1, "the key is refused")
    assert time.monotonic() - ended < 1
    assert api.post("order", events.promised(events.now())["order"]).status_code == 401
    assert Api(tenant.stack.url, tenant.key).get("/v1/kpi/minute").status_code == (
        401 if how == "disable" else 200)


def test_a_tenants_bucket_refuses_with_the_time_to_wait(tenant, other):
    tenant.stack.cli("plan", "set", "tests-tiny", "--requests-per-second", "1", "--burst", "3")
    tenant.store.owner.rows("UPDATE control.tenants SET plan = 'tests-tiny' WHERE id = %s", tenant.id)

    def limited():
        response = tenant.api.get("/v1/kpi/minute")
        return [response] if response.status_code == 429 else []
    (response,) = until(limited, 5, "the bucket is empty")
    assert error_of(response).code == "rate_limited"
    assert int(response.headers["Retry-After"]) >= 1
    assert response.headers["RateLimit"] and response.headers["RateLimit-Policy"]
    assert tenant.api.post("order", events.promised(events.now())["order"]).status_code == 202, "a bucket per class"
    assert other.api.get("/v1/kpi/minute").status_code == 200, "and per tenant"
