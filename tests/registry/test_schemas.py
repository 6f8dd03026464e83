"""Schemas by id and guid, lists of them, what counts as the same schema, and how schemas are printed."""

import pytest
from lib.registry import ANYTHING, Bind, Like, Table, optional, record, text, unique

A = {"schema": text(record("A", "x:int"))}
B = {"schema": text(record("A", "x:int", optional("y")))}
GUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"

TABLES = {
    "a_schema_is_read_by_id": [
        ("POST /subjects/{s}/versions", A, 200, {"id": Bind("a")}),
        ("GET /schemas/ids/{a}", None, 200, A),
        ("GET /schemas/ids/{a}?subject={s}", None, 200, A),
        ("GET /schemas/ids/{a}/schema", None, 200, {"type": "record", "name": "A"}),
        ("GET /schemas/ids/{a}?fetchMaxId=true", None, 200, {"maxId": ANYTHING, **A}),
        ("GET /schemas/ids/2147483647", None, 404, (40403, "Schema 2147483647 not found")),
        ("GET /schemas/ids/2147483647/schema", None, 404, 40403),
        ("GET /schemas/ids/2147483647/subjects", None, 404, 40403),
        ("GET /schemas/ids/2147483647/versions", None, 404, 40403),
        ("GET /schemas/ids/0", None, 404, 40403),
    ],
    "where_a_schema_is_used": [
        ("POST /subjects/{s}/versions", A, 200, {"id": Bind("a")}),
        ("POST /subjects/{s}/versions", B, 200, {"id": Bind("b")}),
        ("POST /subjects/{t}/versions", B, 200, {"id": Bind("b")}),
        ("DELETE /subjects/{t}", None, 200, [1]),
        ("GET /schemas/ids/{a}/subjects?subject={s}", None, 200, ["{s}"]),
        ("DELETE /subjects/{s}", None, 200, [1, 2]),
    ],
    "a_guid_is_that_of_the_schema": [
        ("POST /subjects/{s}/versions", A, 200, {"id": Bind("a")}),
        ("POST /subjects/{s}/versions", A, 200, {"id": Bind("a"), "version": 1, "guid": Bind("guid")}),
        ("GET /subjects/{s}/versions/1", None, 200, {"guid": Bind("guid")}),
        ("GET /subjects/{s}/versions/1", None, 200, {"guid": Like(GUID)}),
        ("GET /schemas/guids/{guid}", None, 200, A),
        ("GET /schemas/guids/{guid}/ids", None, 200, ANYTHING),
        ("GET /schemas/guids/00000000-0000-0000-0000-000000000000", None, 404, 40403),
        ("GET /schemas/guids/nonsense", None, 404, 40403),
    ],
}


@pytest.mark.parametrize("name", TABLES)
def test(table, name):
    table.run(TABLES[name])


def test_the_subjects_and_versions_of_an_id(context):
    _, registry = context
    table = Table(registry)
    table.run([("POST /subjects/{s}/versions", A, 200, {"id": Bind("a")}),
               ("POST /subjects/{s}/versions", B, 200, {"id": Bind("b")}),
               ("POST /subjects/{t}/versions", B, 200, {"id": Bind("b")})])
    number, s, t = table.names["b"], table.names["s"], table.names["t"]
    bare = lambda name: name.rsplit(":", 1)[-1]
    assert sorted(bare(name) for name in registry.read(f"/schemas/ids/{number}/subjects")) == sorted([s, t])
    assert sorted((bare(one["subject"]), one["version"]) for one in registry.read(f"/schemas/ids/{number}/versions")) == (
        sorted([(s, 2), (t, 1)]))
    assert registry.call("DELETE", f"/subjects/{t}").status == 200
    assert [bare(name) for name in registry.read(f"/schemas/ids/{number}/subjects")] == [s]
    assert sorted(map(bare, registry.read(f"/schemas/ids/{number}/subjects", deleted="true"))) == sorted([s, t])
    assert [one["version"] for one in registry.read(f"/schemas/ids/{number}/versions")] == [2]
    assert len(registry.read(f"/schemas/ids/{number}/versions", deleted="true")) == 2


def test_lists_of_schemas(registry):
    stem = unique()
    ids = [registry.register(f"{stem}-a", A["schema"]), registry.register(f"{stem}-a", B["schema"]),
           registry.register(f"{stem}-b", A["schema"])]
    assert ids[0] == ids[2]

    def listed(**params):
        return [(one["subject"][len(stem):], one["version"]) for one in registry.read("/schemas", subjectPrefix=stem, **params)]
    assert listed() == [("-a", 1), ("-a", 2), ("-b", 1)]
    assert listed(latestOnly="true") == [("-a", 2), ("-b", 1)]
    assert listed(offset=1, limit=1) == [("-a", 2)]
    first = registry.read("/schemas", subjectPrefix=stem, limit=1)[0]
    assert (first["id"], first["schema"]) == (ids[0], A["schema"])
    registry.call("DELETE", f"/subjects/{stem}-a/versions/2")
    assert listed() == [("-a", 1), ("-b", 1)]
    assert listed(deleted="true") == [("-a", 1), ("-a", 2), ("-b", 1)]
    assert listed(latestOnly="true") == [("-a", 1), ("-b", 1)]


# --- the same schema, or another one ---

SAME = {
    "order of the members": '{"fields":[{"type":"int","name":"x"}],"name":"n.R","type":"record"}',
    "white space": ' {"type" : "record",\n"name":"n.R","fields":[ {"name":"x","type":"int"} ]}\t',
    "namespace and name": '{"type":"record","name":"R","namespace":"n","fields":[{"name":"x","type":"int"}]}',
    "a primitive as an object": '{"type":"record","name":"n.R","fields":[{"name":"x","type":{"type":"int"}}]}',
    "an escaped letter": '{"type":"record","name":"n.R","fields":[{"name":"\\u0078","type":"int"}]}',
    "the default order": '{"type":"record","name":"n.R","fields":[{"name":"x","type":"int","order":"ascending"}]}',
}
OTHER = {
    "a doc": '{"type":"record","name":"n.R","doc":"d","fields":[{"name":"x","type":"int"}]}',
    "a field's doc": '{"type":"record","name":"n.R","fields":[{"name":"x","type":"int","doc":"d"}]}',
    "an alias": '{"type":"record","name":"n.R","aliases":["S"],"fields":[{"name":"x","type":"int"}]}',
    "a default": '{"type":"record","name":"n.R","fields":[{"name":"x","type":"int","default":1}]}',
    "a custom attribute": '{"type":"record","name":"n.R","fields":[{"name":"x","type":"int","k":1}]}',
    "a logical type": '{"type":"record","name":"n.R","fields":[{"name":"x","type":{"type":"int","logicalType":"date"}}]}',
    "an order": '{"type":"record","name":"n.R","fields":[{"name":"x","type":"int","order":"ignore"}]}',
}


@pytest.mark.parametrize("kind", SAME)
def test_one_schema_has_one_id_however_it_is_spelled(registry, kind):
    base = text(record("n.R", "x:int"))
    name = unique()
    assert registry.register(name, SAME[kind]) == registry.register(name, base)
    assert registry.versions(name) == [1]
    assert registry.register(unique(), SAME[kind]) == registry.register(unique(), base)


@pytest.mark.parametrize("kind", OTHER)
def test_a_difference_that_readers_may_see_is_another_schema(registry, kind):
    assert registry.register(unique(), OTHER[kind]) != registry.register(unique(), text(record("n.R", "x:int")))


PRINTED = {
    '{"type":"string"}': '"string"',
    '{"type":"record","name":"n.R","fields":[]}': '{"type":"record","name":"R","namespace":"n","fields":[]}',
    '{"name":"E","doc":"d","symbols":["A"],"type":"enum","default":"A"}':
        '{"type":"enum","name":"E","doc":"d","symbols":["A"],"default":"A"}',
    '{"size":4,"name":"a.b.F","type":"fixed"}': '{"type":"fixed","name":"F","namespace":"a.b","size":4}',
    '{"items":{"type":"int"},"type":"array"}': '{"type":"array","items":"int"}',
    '{"values":["null","n.X"],"type":"map"}': None,
    '["null",{"type":"long","logicalType":"timestamp-micros"}]': '["null",{"type":"long","logicalType":"timestamp-micros"}]',
    '{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":1.0}]}': None,
    '{"type":"record","name":"R","fields":[{"name":"a","aliases":["b"],"order":"descending","default":5,"type":"long","k":{"z":1,"a":2}}]}':
        '{"type":"record","name":"R","fields":[{"name":"a","type":"long","default":5,"order":"descending","aliases":["b"],'
        '"k":{"z":1,"a":2}}]}',
}


@pytest.mark.parametrize("given", PRINTED)
def test_schemas_are_printed_as_clients_expect(context, given):
    _, registry = context  # where nobody has registered it in another spelling
    answer = registry.call("POST", "/subjects/s/versions", {"schema": given})
    if PRINTED[given] is None:
        assert (answer.status, answer.code) == (422, 42201), answer
    else:
        assert answer.status == 200, answer
        assert registry.read(f"/schemas/ids/{answer.json['id']}")["schema"] == PRINTED[given]
        assert registry.read(f"/schemas/ids/{answer.json['id']}", format="original")["schema"] == given


def test_normalize(registry):
    """The order of attributes that have no meaning does not matter then."""
    one = '{"type":"record","name":"R","fields":[{"name":"a","type":"int","b":1,"a":2}],"y":1,"x":2}'
    two = '{"type":"record","name":"R","fields":[{"name":"a","type":"int","a":2,"b":1}],"x":2,"y":1}'
    name = unique()
    first = registry.call("POST", f"/subjects/{name}/versions", {"schema": one}, normalize="true")
    second = registry.call("POST", f"/subjects/{name}/versions", {"schema": two}, normalize="true")
    assert first.status == second.status == 200 and first.json["id"] == second.json["id"], (first, second)
    found = registry.call("POST", f"/subjects/{name}", {"schema": two}, normalize="true")
    assert found.status == 200 and found.json["id"] == first.json["id"]


def test_ids_of_a_guid_name_their_context(context):
    name, registry = context
    number = registry.register("a", A["schema"])
    guid = registry.read("/subjects/a/versions/1")["guid"]
    found = registry.read(f"/schemas/guids/{guid}/ids")
    assert {"context": f":{name}:", "id": number} in found or {"context": name, "id": number} in found, found
