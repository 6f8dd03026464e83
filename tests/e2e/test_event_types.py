"""A tenant's own event types: announced, taken, stored, listed; what a new version may change."""

import json

import pytest
import requests
from lib import events, metrics
from lib.api import JSON, error_of
from lib.events import TYPES
from lib.process import Service, free_port
from lib.registry import Registry, optional, record, unique
from lib.tenants import Tenant
from lib.topics import framed, headers
from lib.waiting import until

THING = {"name": "thing", "type": "string", "role": "entity"}
NUMBER = {"name": "n", "type": "double", "role": "value"}


def own(*more, **attributes):
    return record("Own", THING, NUMBER, *more, **attributes)


def registry_of(tenant):
    return Registry(tenant.stack.url + "/v2/registry", auth=("any", tenant.key))


@pytest.fixture(scope="module")
def mine(stack, store):
    """A tenant whose types and events are several tests'."""
    return Tenant(stack, store)


@pytest.fixture(scope="module")
def registry(mine):
    return registry_of(mine)


@pytest.fixture
def name():
    return unique("own").replace("-", "_")


@pytest.fixture(scope="module")
def second(stack):
    """An ingestion process beside the stack's own."""
    port = free_port()
    with Service(stack, "ingestion", own_ports=True, http_listen=f"127.0.0.1:{port}") as service:
        service.url = f"http://127.0.0.1:{port}"
        yield service.wait_ready()


def direct(service_url, tenant, name, event):
    """To one ingestion process, as the gateway does."""
    return requests.post(f"{service_url}/v1/events/{name}", json=event, timeout=5,
                         headers={"X-Tidegate-Secret": tenant.stack.secret, "X-Tidegate-Tenant": tenant.id})


def taken(answer):
    return answer.status_code == 202


def test_every_ingestion_process_hears_of_a_new_type_and_version(stack, mine, other, registry, name, second):
    ways = (stack.upstream("ingestion"), second.url)
    send = lambda url, **more: direct(url, mine, name, {"thing": "t", "n": 1, **more})
    for url in ways:
        assert error_of(send(url)).code == "unknown_type"
    registry.register(f"{name}-value", own())
    for url in ways:
        until(lambda u=url: taken(send(u)), 3, "the new type is taken")
        assert error_of(send(url, note="x")).code == "unknown_field"
    registry.register(f"{name}-value", own(optional("note")))
    for url in ways:
        until(lambda u=url: taken(send(u, note="x")), 3, "the new version is used")
        assert error_of(direct(url, other, name, {"thing": "t", "n": 1})).code == "unknown_type"
    assert metrics.read(second.admin)["tidegate_ingestion_types_cached"] >= 1
    until(lambda: metrics.read(second.admin)["tidegate_ingestion_types_announced_total"] >= 2, 3, "they were announced")


def test_an_own_type_goes_all_the_way_in_both_versions(tenant, topics, name):
    registry = registry_of(tenant)
    first = registry.register(f"{name}-value", own())
    until(lambda: taken(tenant.api.post(name, {"thing": "a", "n": 2})), 3, "the new type is taken")
    registry.register(f"{name}-value", own(optional("note")))
    item = {"type": name, "data": {"thing": "a", "n": 3, "note": "x"}}
    until(lambda: taken(tenant.api.batch(json.dumps([item]).encode())), 3, "the new version is used")
    # Written by the first version's schema, and read after the second came: "a", 5.0.
    topics.put("events.custom", 0, framed(first, b"\x02a" + b"\0\0\0\0\0\0\x14\x40"),
               headers(tenant.id, name, events.now()))
    rows = tenant.wait_for(3)
    assert sorted((row.type, row.entity, row.value, row.payload.get("note")) for row in rows) == [
        (name, "a", 2, None), (name, "a", 3, "x"), (name, "a", 5, None)]
    tenant.check_folds()


def test_a_type_may_refer_to_another_subject(tenant, name):
    registry = registry_of(tenant)
    place = record("Place", "town:string", namespace="geo")
    registry.register("geo.Place", place)
    registry.register(f"{name}-value", own({"name": "where", "type": "geo.Place"}, optional("from", "geo.Place")),
                      references=[{"name": "geo.Place", "subject": "geo.Place", "version": 1}])
    event = {"thing": "a", "n": 1, "where": {"town": "Ulm"}, "from": {"town": "Jena"}}
    tenant.api.accept(name, event)
    (row,) = tenant.wait_for(1)
    assert row.payload == {"where": {"town": "Ulm"}, "from": {"town": "Jena"}}
    (item,) = [item for item in listed(tenant) if item["name"] == name]
    assert [field["type"] for field in item["fields"][2:]] == ["geo.Place", ["null", "geo.Place"]]


def test_what_has_no_roles_is_a_schema_but_no_type(mine, registry, name):
    for number, schema in enumerate((record("Plain", "a:string"), '"string"')):
        subject = f"{name}{number}"
        registry.register(f"{subject}-value", schema)
        assert error_of(mine.api.post(subject, {"a": "b"}))[:2] == (404, "unknown_type")
    assert not [item for item in listed(mine) if item["name"].startswith(name)]


@pytest.mark.parametrize("fields,part", [
    ([{**THING, "role": "owner"}], "role"),
    ([{**THING, "role": "value"}], "needs an int"),
    ([THING, {**THING, "name": "other"}], "another field has this role"),
])
def test_wrong_roles_are_refused_with_the_reason(registry, name, fields, part):
    answer = registry.call("POST", f"/subjects/{name}-value/versions",
                           {"schema": json.dumps(record("Own", *fields))})
    assert (answer.status, answer.code) == (422, 42201)
    assert part in answer.json["message"]


@pytest.mark.parametrize("fields,part", [
    ([{"name": "thing", "type": "string"}, NUMBER], '"entity" of field thing is removed'),
    ([{"name": "thing", "type": "string"}, {**THING, "name": "place"}, NUMBER],
     '"entity" moves from field thing to place'),
    ([{"name": "thing", "type": "string"}, {"name": "n", "type": "double"}], "is removed"),
])
def test_no_level_lets_a_role_move_or_go(registry, name, fields, part):
    registry.register(f"{name}-value", own())
    assert registry.call("PUT", f"/config/{name}-value", {"compatibility": "NONE"}).status == 200
    answer = registry.call("POST", f"/subjects/{name}-value/versions",
                           {"schema": json.dumps(record("Own", *fields))})
    assert (answer.status, answer.code) == (409, 409)
    assert part in answer.json["message"]
    renamed = {**THING, "name": "place", "aliases": ["thing"]}
    registry.register(f"{name}-value", record("Own", renamed, NUMBER, {**THING, "name": "who", "role": "user"}))


def test_a_deleted_type_is_gone(mine, registry, name):
    registry.register(f"{name}-value", own())
    event = {"thing": "t", "n": 1}
    until(lambda: taken(mine.api.post(name, event)), 3, "the new type is taken")
    assert registry.call("DELETE", f"/subjects/{name}-value").status == 200
    until(lambda: mine.api.post(name, event).status_code == 404, 3, "the type is gone")
    assert error_of(mine.api.post(name, event)).code == "unknown_type"
    assert not [item for item in listed(mine) if item["name"] == name]
    registry.register(f"{name}-value", own())
    until(lambda: taken(mine.api.post(name, event)), 3, "it is there again")


# --- GET /v2/event-types ---

def listed(tenant, **params):
    return tenant.api.items("/v2/event-types", **params)


def test_types_are_listed_with_their_fields_and_roles(tenant, other, name):
    registry = registry_of(tenant)
    registry.register(f"{name}-value", own())
    number = registry.register(f"{name}-value", own(optional("note"), doc="things"))
    (item,) = [item for item in listed(tenant) if item["source"] == "own"]
    assert item == {
        "name": name, "subject": f"{name}-value", "source": "own", "version": 2, "schema_id": number,
        "doc": "things", "fields": [
            {"name": "thing", "type": "string", "role": "entity", "required": True},
            {"name": "n", "type": "double", "role": "value", "required": True},
            {"name": "note", "type": ["null", "string"], "role": None, "required": False}]}
    found = listed(other)
    assert [item["name"] for item in found] == sorted(TYPES)
    assert {item["source"] for item in found} == {"built-in"}
    order = next(item for item in found if item["name"] == "order")
    assert {field["role"]: field["name"] for field in order["fields"]} == {
        "id": "order_id", "user": "customer_id", "value": "amount", "kind": "currency", "entity": "channel",
        "time": "event_time"}


def test_long_schemas_make_short_pages(tenant, name):
    registry = registry_of(tenant)
    own_names = [f"{name}_{number}" for number in range(3)]
    for own_name in own_names:
        registry.register(f"{own_name}-value", own(doc="x" * 200_000))
    first = tenant.api.read("/v2/event-types", cursor=name)
    assert [item["name"] for item in first["items"]] == own_names[:2] and first["next_cursor"] == own_names[1]
    rest = tenant.api.read("/v2/event-types", cursor=first["next_cursor"])
    assert rest["items"][0]["name"] == own_names[2] and rest["next_cursor"] is None


def test_the_list_comes_in_pages(other):
    names, cursor = [], {}
    while cursor is not None:
        page = other.api.read("/v2/event-types", limit=4, **cursor)
        assert len(page["items"]) <= 4
        names += [item["name"] for item in page["items"]]
        cursor = None if page["next_cursor"] is None else {"cursor": page["next_cursor"]}
    assert names == sorted(TYPES)
    for wrong in ({"limit": 0}, {"limit": 101}, {"cursor": ""}, {"name": "x"}):
        assert error_of(other.api.get("/v2/event-types", **wrong))[:2] == (400, "invalid_parameter"), wrong


def test_the_list_needs_a_key_that_reads(stack, mine):
    key = stack.cli("key", "create", "--tenant", mine.id, "--scopes", "ingest")
    ask = lambda: requests.get(stack.url + "/v2/event-types", headers={"X-API-Key": key}, timeout=5)
    until(lambda: error_of(ask())[:2] == (403, "insufficient_scope"), 5, "the key is known")
    assert error_of(requests.get(stack.url + "/v2/event-types", timeout=5))[:2] == (401, "missing_key")


def test_a_tenant_has_a_limit_of_types(tenant, store, name):
    registry, most = registry_of(tenant), 200
    store.owner.rows("INSERT INTO control.event_types (context, type, version, schema_id, changed)"
                     " SELECT %s, 'full_' || i, 1, 1, 0 FROM generate_series(1, %s) i", tenant.id, most - 1)
    registry.register(f"{name}-value", own())
    answer = registry.call("POST", f"/subjects/{name}x-value/versions", {"schema": json.dumps(own())})
    assert (answer.status, answer.code) == (422, 42210) and str(most) in answer.json["message"]
    registry.register(f"{name}-value", own(optional("note")))
    registry.register(f"{name}x-value", '"string"')
    store.owner.rows("DELETE FROM control.event_types WHERE context = %s AND changed = 0", tenant.id)


# --- another registry ---

def test_types_can_come_from_another_registry(stack, tenant, name):
    """Our own, as a stranger's under Basic auth: the tenant's types are in the context of its name."""
    registry_of(tenant).register(f"{name}-value", own())
    port, way_in = free_port(), free_port()
    with Service(stack, "registry", own_ports=True, http_listen=f"127.0.0.1:{port}",
                 operator_user="ada", operator_password="lovelace") as foreign, \
         Service(stack, "ingestion", own_ports=True, http_listen=f"127.0.0.1:{way_in}", pg_dsn="",
                 registry_url=f"http://127.0.0.1:{port}", registry_user="ada",
                 registry_password="lovelace") as ingestion:
        foreign.wait_ready()
        ingestion.wait_ready()
        send = lambda kind, event: direct(f"http://127.0.0.1:{way_in}", tenant, kind, event)
        assert send(name, {"thing": "t", "n": 7}).status_code == 202
        assert send("order", events.promised(events.now())["order"]).status_code == 202
        assert error_of(send(name + "x", {})).code == "unknown_type"
    assert {(row.type, row.value) for row in tenant.wait_for(2)} >= {(name, 7)}
    assert not [log for log in (stack.run / "log").glob("*.log") if b"lovelace" in log.read_bytes()]
