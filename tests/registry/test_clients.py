"""Registry clients that people run, as they come: their whole API against ours, as operator and as tenant, and their
bytes through real Kafka with our codec on the other side.

Each client is a program of clients/ (see confluent_client.py for what it is asked), run with what tests/fetch has
installed."""

import datetime
import json
import os
import pathlib
import subprocess

import pytest
from lib.registry import record, text, unique
from lib.stack import ROOT
from lib.topics import headers
from lib.waiting import until

HERE = pathlib.Path(__file__).resolve().parent / "clients"
CLIENTS = {"confluent-kafka": "confluent_client.py", "@confluentinc/schemaregistry": "confluent_client.js",
           "@kafkajs/confluent-schema-registry": "kafkajs_client.js"}

# Everything that JSON can say without a doubt; bytes are {"hex": ...}.
SCHEMA = text({"type": "record", "name": "All", "namespace": "tests", "fields": [
    {"name": "i", "type": "int"}, {"name": "l", "type": "long"}, {"name": "d", "type": "double"},
    {"name": "f", "type": "float"}, {"name": "t", "type": "boolean"}, {"name": "s", "type": "string"},
    {"name": "n", "type": ["null", "string"], "default": None}, {"name": "raw", "type": "bytes"},
    {"name": "e", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
    {"name": "x", "type": {"type": "fixed", "name": "Four", "size": 4}},
    {"name": "list", "type": {"type": "array", "items": "long"}}, {"name": "map", "type": {"type": "map", "values": "int"}},
    {"name": "in", "type": {"type": "record", "name": "In", "fields": [{"name": "k", "type": "Kind"}]}}]})
VALUES = [
    {"i": -1, "l": 1 << 40, "d": 0.1, "f": 1.5, "t": True, "s": "é ☃ \n", "n": None, "raw": {"hex": "00ff"}, "e": "B",
     "x": {"hex": "00010203"}, "list": [1, -2, 300], "map": {"a": 1}, "in": {"k": "A"}},
    {"i": 2147483647, "l": -(1 << 52), "d": -1e300, "f": -0.25, "t": False, "s": "", "n": "there", "raw": {"hex": ""}, "e": "A",
     "x": {"hex": "ffffffff"}, "list": [], "map": {}, "in": {"k": "B"}},
]
# The same as fastavro encodes them.
BODIES = [
    "018080808080409a9999999999b93f0000c03f0110c3a920e29883200a000400ff0200010203060203d80400020261020000",
    "feffffff0fffffffffffffff0f9c7500883ce437fe000080be0000020a74686572650000ffffffff000002",
]


def fetched(name):
    place = subprocess.run([str(ROOT / "tests" / "fetch"), "path", name], capture_output=True, text=True, check=True).stdout
    assert pathlib.Path(place).is_dir(), f"{place} is missing: run tests/fetch (make test does)"
    return pathlib.Path(place)


def command(client):
    script = HERE / CLIENTS[client]
    if script.suffix == ".py":
        return [str(fetched("python") / "venv" / "bin" / "python"), str(script)], {}
    modules = fetched("node") / "node_modules"
    (node,) = modules.glob("node-linux-*/bin/node")
    return [str(node), str(script)], {"NODE_PATH": str(modules)}


def run(client, access, *tasks):
    """What the client's program says to each task."""
    line, more = command(client)
    done = subprocess.run(line, input=json.dumps({**access, "tasks": tasks}), capture_output=True, text=True, timeout=120,
                          check=False, env={**os.environ, **more, "NO_PROXY": "127.0.0.1"})
    assert done.returncode == 0, f"{client}: {done.stderr[-3000:]}"
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def as_tenant(stack, tenant):
    return {"url": f"{stack.url}/v2/registry", "user": "any", "password": tenant.key, "tenant": True}


@pytest.mark.parametrize("client", CLIENTS)
def test_the_clients_whole_api_as_an_operator(stack, operator, client):
    access = {"url": stack.upstream("registry"), "user": operator[0], "password": operator[1], "tenant": False}
    assert run(client, access, {"do": "tour", "stem": unique("c")})


VISIT = text(record("Visit", {"name": "id", "type": "string", "role": "id"}, {"name": "who", "type": "string", "role": "user"},
                    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}, "role": "time"},
                    {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["VIEW", "CLICK"]}, "role": "kind"},
                    {"name": "page", "type": ["null", "string"], "default": None, "role": "entity"},
                    {"name": "n", "type": ["null", "double"], "default": None, "role": "value"},
                    {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []},
                    {"name": "counts", "type": {"type": "map", "values": "long"}, "default": {}}))


def visit(number, at):
    return {"id": f"v-{number}", "who": "u-é", "at": at, "kind": "CLICK", "page": "/home", "n": number + 0.5,
            "tags": ["a", "☃"], "counts": {"x": 1 << 40}}


def wait_for_type(tenant):
    until(lambda: tenant.api.post("visit", b"{").status_code in (400, 422), 5, "the type is known", every=0.05)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_as_a_tenant_with_our_codec_on_the_other_side(as_tenant, own, tenant, topics, client):
    """Its whole API; bytes that are fastavro's, written and read; a record of our ingestion's that it reads; records of
    its own that our worker reads, through Kafka."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    own.register("visit-value", VISIT)
    wait_for_type(tenant)
    sent = visit(0, now.strftime("%Y-%m-%dT%H:%M:%SZ"))
    tenant.api.accept("visit", sent)
    ours = topics.find("events.custom", "tg-tenant", tenant.id.encode(), 6).value()
    start = "00" + own.register("all-value", SCHEMA).to_bytes(4, "big").hex()
    visits = [visit(number, int(now.timestamp()) * 1_000_000) for number in (1, 2)]

    _, written, read, (of_ours,), records = run(
        client, as_tenant, {"do": "tour", "stem": "c"}, {"do": "write", "topic": "all", "schema": SCHEMA, "values": VALUES},
        {"do": "read", "topic": "all", "data": [start + body for body in BODIES]},
        {"do": "read", "topic": "visit", "data": [ours.hex()]},
        {"do": "write", "topic": "visit", "schema": VISIT, "values": visits})
    assert written == [start + body for body in BODIES]
    assert read == VALUES
    assert {**of_ours, "at": None} == {**sent, "at": None}

    for one in records:
        topics.put("events.custom", 0, bytes.fromhex(one), headers(tenant.id, "visit", now), key=b"k")
    rows = sorted(tenant.wait_for(3), key=lambda row: row.value)
    assert [(row.type, row.kind, row.entity, row.user_id, row.value) for row in rows] == [
        ("visit", "CLICK", "/home", "u-é", number + 0.5) for number in range(3)]
    assert [row.payload["tags"] for row in rows] == [["a", "☃"]] * 3
    assert [row.payload["counts"] for row in rows] == [{"x": 1 << 40}] * 3


def test_a_new_version_is_read_beside_the_old_one(own, tenant):
    own.register("visit-value", VISIT)
    wait_for_type(tenant)
    event = visit(1, datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"))
    tenant.api.accept("visit", event)
    newer = json.loads(VISIT)
    newer["fields"].append({"name": "extra", "type": ["null", "string"], "default": None})
    own.register("visit-value", newer)
    until(lambda: tenant.api.post("visit", {**event, "id": "v-2", "extra": "new"}).status_code == 202, 5,
          "the new version is used", every=0.05)
    rows = tenant.wait_for(2)
    assert sorted(row.payload.get("extra") or "" for row in rows) == ["", "new"]
