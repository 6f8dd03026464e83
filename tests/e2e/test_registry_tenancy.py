"""Through the gateway a tenant's context is the whole registry: whatever a tenant sends, it reaches
nothing of another's and learns nothing of it."""

import json

import pytest
import requests
from lib.api import error_of
from lib.events import TYPES
from lib.registry import Registry, quoted, record, unique
from lib.tenants import Tenant
from lib.waiting import until


def client(tenant, **headers):
    return Registry(tenant.stack.url + "/v2/registry", auth=("", tenant.key), headers=headers)


@pytest.fixture(scope="module")
def mine(stack, store):
    return Tenant(stack, store)


@pytest.fixture(scope="module")
def theirs(stack, store):
    return Tenant(stack, store)


@pytest.fixture(scope="module")
def secret(theirs):
    """What the other tenant has: subject, schema, id, guid; two versions, configured."""
    registry = client(theirs)
    subject = unique("secret")
    schema = record("Hidden", "a:string", namespace="of." + subject.replace("-", "_"))
    number = registry.register(subject, schema)
    registry.register(subject, {**schema, "doc": "second"})
    assert registry.call("PUT", f"/config/{subject}", {"compatibility": "NONE"}).status == 200
    found = registry.read(f"/schemas/ids/{number}")
    return {"tenant": theirs.id, "subject": subject, "schema": schema, "id": number, "guid": found.get("guid")}


@pytest.fixture(scope="module")
def registry(mine):
    return client(mine)


def state(tenant):
    """All that a tenant's registry says of itself."""
    registry = client(tenant)
    subjects = registry.read("/subjects", deleted="true")
    return {"subjects": subjects, "schemas": registry.read("/schemas", deleted="true"),
            "versions": [registry.versions(subject, deleted="true") for subject in subjects],
            "config": registry.read("/config"), "mode": registry.read("/mode"), "contexts": registry.read("/contexts"),
            "configs": [registry.call("GET", f"/config/{quoted(subject)}").json for subject in subjects]}


@pytest.fixture(autouse=True, scope="module")
def nothing_of_theirs_changes(theirs, secret):
    before = state(theirs)
    yield
    assert state(theirs) == before


def test_the_whole_registry_is_the_tenants_own(registry, secret):
    assert registry.read("/subjects") == sorted(f"{name}-value" for name in TYPES)
    assert registry.read("/contexts") == ["."]
    assert registry.call("GET", f"/subjects/{secret['subject']}/versions").code == 40401
    text = json.dumps(registry.read("/schemas"))
    assert secret["subject"] not in text and secret["tenant"] not in text


def forms(secret):
    """A subject in the other's context, as it can be written."""
    context = f".{secret['tenant']}"
    return [f":{context}:{secret['subject']}", f":{context}:", ":.__GLOBAL:", f":{context}:order-value"]


METHODS = [("GET", "/subjects/{}/versions", None), ("GET", "/subjects/{}/versions/1", None),
           ("GET", "/subjects/{}/versions/latest/schema", None), ("GET", "/subjects/{}/versions/1/referencedby", None),
           ("GET", "/subjects/{}/metadata", None), ("POST", "/subjects/{}", {"schema": '"string"'}),
           ("POST", "/subjects/{}/versions", {"schema": '"string"'}), ("DELETE", "/subjects/{}", None),
           ("DELETE", "/subjects/{}/versions/1", None),
           ("POST", "/compatibility/subjects/{}/versions/latest", {"schema": '"string"'}),
           ("POST", "/compatibility/subjects/{}/versions", {"schema": '"string"'}),
           ("GET", "/config/{}", None), ("PUT", "/config/{}", {"compatibility": "FULL"}), ("DELETE", "/config/{}", None),
           ("GET", "/mode/{}", None), ("PUT", "/mode/{}", {"mode": "READONLY"}), ("DELETE", "/mode/{}", None)]


def test_no_path_names_another_context(registry, secret):
    contexts = (f".{secret['tenant']}", secret["tenant"], f":.{secret['tenant']}:", "default")
    for method, path, body in METHODS:
        for subject in forms(secret):
            answer = registry.call(method, path.format(quoted(subject)), body)
            assert (answer.status, answer.code) == (422, 42211), (method, path, subject, answer)
        for context in contexts:
            answer = registry.call(method, f"/contexts/{quoted(context)}" + path.format(secret["subject"]), body)
            assert (answer.status, answer.code) == (422, 42211), (method, path, context, answer)


def test_no_parameter_names_another_context(registry, secret):
    prefix = f":.{secret['tenant']}:"
    for asked in (prefix, ":*:", prefix + secret["subject"], ":.", ""):
        answer = registry.call("GET", "/subjects", subjectPrefix=asked)
        assert answer.status == 422 or secret["subject"] not in answer.text, asked
        answer = registry.call("GET", "/schemas", subjectPrefix=asked)
        assert answer.status == 422 or secret["subject"] not in answer.text, asked
    for subject in (*forms(secret), secret["subject"]):
        answer = registry.call("GET", f"/schemas/ids/{secret['id']}", subject=subject)
        assert answer.code in (40403, 42211), subject


def test_anothers_id_and_guid_are_those_of_nothing(registry, theirs, secret):
    nothing = 2_000_000_000
    for path in ("/schemas/ids/{}", "/schemas/ids/{}/schema", "/schemas/ids/{}/subjects", "/schemas/ids/{}/versions"):
        for params in ({}, {"fetchMaxId": "true", "deleted": "true"}, {"format": "resolved"}, {"format": "original"}):
            client(theirs).call("GET", path.format(secret["id"]), **params)  # so that it is in every cache
            hidden, missing = (registry.call("GET", path.format(number), **params)
                               for number in (secret["id"], nothing))
            assert (hidden.status, hidden.code) == (404, 40403), (path, params)
            assert hidden.text.replace(str(secret["id"]), "N") == missing.text.replace(str(nothing), "N")
    if secret["guid"]:
        for path in ("/schemas/guids/{}", "/schemas/guids/{}/ids"):
            answer = registry.call("GET", path.format(secret["guid"]))
            assert answer.status == 404 or answer.json == [], (path, answer)


def test_a_reference_reaches_no_other_context(registry, secret):
    named = secret["schema"]["namespace"] + ".Hidden"
    user = record("User", {"name": "h", "type": named})
    for subject in (secret["subject"], f":.{secret['tenant']}:{secret['subject']}"):
        for version in (1, -1):
            answer = registry.call("POST", f"/subjects/{unique()}/versions", {
                "schema": json.dumps(user), "references": [{"name": named, "subject": subject, "version": version}]})
            assert answer.status == 422 and answer.code in (42201, 42211), answer
    assert client_references(registry, secret) == []


def client_references(registry, secret):
    answer = registry.call("GET", f"/subjects/{secret['subject']}/versions/1/referencedby")
    return [] if answer.status == 404 else answer.json


def test_the_same_schema_has_another_id_here(registry, secret):
    subject = unique("same")
    answer = registry.call("POST", f"/subjects/{secret['subject']}", {"schema": json.dumps(secret["schema"])})
    assert answer.code == 40401
    number = registry.register(subject, secret["schema"])
    assert number != secret["id"]
    assert registry.read(f"/schemas/ids/{number}/subjects") == [subject]
    if secret["guid"]:
        found = registry.read(f"/schemas/ids/{number}")["guid"]
        assert secret["tenant"] not in registry.call("GET", f"/schemas/guids/{found}/ids").text
        assert registry.call("DELETE", f"/subjects/{subject}").status == 200
        assert registry.call("DELETE", f"/subjects/{subject}", permanent="true").status == 200
        assert registry.call("GET", f"/schemas/guids/{found}").status == 404


def test_what_is_global_to_a_tenant_is_its_own(registry, secret, theirs):
    for level in ("FULL", "NONE"):
        assert registry.call("PUT", "/config", {"compatibility": level}).json["compatibility"] == level
        assert registry.read("/config")["compatibilityLevel"] == level
        assert client(theirs).read("/config")["compatibilityLevel"] == "BACKWARD"
    assert registry.call("DELETE", "/config").status == 200
    assert registry.call("PUT", "/mode", {"mode": "READONLY"}).status == 200
    assert registry.call("POST", f"/subjects/{unique()}/versions", {"schema": '"string"'}).code == 42205
    assert client(theirs).read("/mode") == {"mode": "READWRITE"}
    assert registry.call("DELETE", "/mode").status == 200


def test_an_id_of_another_context_cannot_be_imported(registry, secret):
    subject, taken = unique("imported"), {"schema": '"bytes"', "id": secret["id"], "version": 1}
    assert registry.call("POST", f"/subjects/{subject}/versions", taken).code == 42205
    assert registry.call("PUT", f"/mode/{subject}", {"mode": "IMPORT"}).status == 200
    answer = registry.call("POST", f"/subjects/{subject}/versions", taken)
    assert answer.status == 422, answer
    for told in (secret["tenant"], secret["subject"]):
        assert told not in answer.text
    free = {**taken, "id": 1_900_000_000 + int(unique("0")[2:6], 16)}
    assert registry.call("POST", f"/subjects/{subject}/versions", free).json["id"] == free["id"]
    assert registry.call("DELETE", f"/mode/{subject}").status == 200


def test_built_in_types_are_there_to_read_only(registry):
    for name in TYPES:
        latest = registry.read(f"/subjects/{name}-value/versions/latest")
        assert registry.read(f"/schemas/ids/{latest['id']}")["schema"] == latest["schema"]
    before = registry.read("/subjects/order-value/versions/latest")
    for method, path, body in (("POST", "/subjects/order-value/versions", {"schema": '"string"'}),
                               ("DELETE", "/subjects/order-value", None),
                               ("DELETE", "/subjects/order-value/versions/1", None),
                               ("DELETE", "/subjects/order-value/versions/latest", None)):
        for params in ({}, {"permanent": "true"}):
            answer = registry.call(method, path, body, **params)
            assert answer.status in (403, 404, 422), (method, path, answer)
    assert registry.read("/subjects/order-value/versions/latest") == before


def test_names_go_through_the_gateway_unharmed(registry):
    for subject in ("a/b", "a//b", "ä/ö ?#%&+=", "%2F", ".hidden", "per%cent", "x" * 200, ":", "a:b"):
        number = registry.register(subject, '"string"')
        assert registry.read(f"/subjects/{quoted(subject)}/versions/latest")["subject"] == subject
        assert subject in registry.read(f"/schemas/ids/{number}/subjects")
        assert subject in registry.read("/subjects")
        assert registry.call("PUT", f"/config/{quoted(subject)}", {"compatibility": "FULL"}).status == 200
        assert registry.read(f"/config/{quoted(subject)}")["compatibilityLevel"] == "FULL"
        assert registry.call("DELETE", f"/subjects/{quoted(subject)}").json == [1]
        assert registry.call("DELETE", f"/subjects/{quoted(subject)}/versions/1", permanent="true").json == 1


# --- who may come in ---

def test_every_way_to_send_a_key(stack, mine):
    path = stack.url + "/v2/registry/subjects"
    for given in ({"auth": ("anybody", mine.key)}, {"auth": ("", mine.key)}, {"headers": {"X-API-Key": mine.key}},
                  {"headers": {"Authorization": f"Bearer {mine.key}"}}):
        assert requests.get(path, timeout=5, **given).status_code == 200, given.keys()


def test_the_gateways_refusals_are_in_the_registrys_form(stack, mine):
    ways = [("GET", "/subjects", {}, 401), ("PUT", "/config", {"auth": ("", "wrong")}, 401),
            ("DELETE", "/subjects/x", {"headers": {"Authorization": "Bearer x"}}, 401)]
    for method, path, given, status in ways:
        answer = requests.request(method, stack.url + "/v2/registry" + path, timeout=5, **given)
        assert (answer.status_code, answer.json()["error_code"]) == (status, status)
        assert "Basic" in answer.headers["WWW-Authenticate"] and "Bearer" in answer.headers["WWW-Authenticate"]
    answer = requests.patch(stack.url + "/v2/registry/subjects", auth=("", mine.key), timeout=5)
    assert (answer.status_code, answer.json()["error_code"]) == (405, 405)
    large = requests.post(stack.url + "/v2/registry/subjects/x/versions", auth=("", mine.key), timeout=5,
                          data=b" " * (1100 << 10))
    assert (large.status_code, large.json()["error_code"]) == (413, 413)


def test_every_method_needs_the_scope(stack, mine):
    key = stack.cli("key", "create", "--tenant", mine.id, "--scopes", "ingest,read,manage")
    probe = requests.Session()
    probe.auth = ("", key)
    until(lambda: probe.get(stack.url + "/v1/kpi/latest", timeout=5).status_code == 200, 5, "the key is known")
    for method, path, body in (("GET", "/subjects/{}/versions", None), *METHODS):
        answer = probe.request(method, stack.url + "/v2/registry" + path.format("x"), json=body, timeout=5)
        assert error_of(answer)[:2] == (403, 403), (method, path)


def test_forged_headers_name_nobody(stack, mine, theirs, secret):
    for forged in ({"X-Tidegate-Tenant": theirs.id}, {"X-Tidegate-Tenant": theirs.id,
                                                      "X-Tidegate-Secret": stack.secret}):
        assert secret["subject"] not in client(mine, **forged).read("/subjects")
