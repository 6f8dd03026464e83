"""The seven levels, on registration and by the question, with the reasons in words."""

import pytest
from lib.registry import ANYTHING, Table, optional, record, text, unique

BASE = record("R", "a:int", "b:string")
ADD_DEFAULT = record("R", "a:int", "b:string", optional("c"))
ADD_REQUIRED = record("R", "a:int", "b:string", "c:int")
REMOVE = record("R", "a:int")
PROMOTE = record("R", "a:long", "b:string")
NARROW = record("R", "a:int", {"name": "b", "type": "int"})

# change -> (a new reader reads old data, an old reader reads new data)
CHANGES = {
    "add a field with a default": (BASE, ADD_DEFAULT, True, True),
    "add a field without one": (BASE, ADD_REQUIRED, False, True),
    "remove a field without default": (BASE, REMOVE, True, False),
    "remove a field with a default": (ADD_DEFAULT, BASE, True, True),
    "widen a number": (BASE, PROMOTE, True, False),
    "another type": (BASE, NARROW, False, False),
    "nothing": (BASE, record("R", "a:int", "b:string", doc="d"), True, True),
    "a symbol more": ({"type": "enum", "name": "E", "symbols": ["A"]}, {"type": "enum", "name": "E", "symbols": ["A", "B"]},
                      True, False),
    "a symbol more, with a default": ({"type": "enum", "name": "E", "symbols": ["A"], "default": "A"},
                                      {"type": "enum", "name": "E", "symbols": ["A", "B"], "default": "A"}, True, True),
    "a branch more": (["null", "int"], ["null", "int", "string"], True, False),
    "another size": ({"type": "fixed", "name": "F", "size": 2}, {"type": "fixed", "name": "F", "size": 3}, False, False),
}
LEVELS = ("NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE")


def allowed(level, backward, forward):
    return ((backward or "BACKWARD" not in level and "FULL" not in level)
            and (forward or "FORWARD" not in level and "FULL" not in level))


@pytest.mark.parametrize("level", LEVELS)
def test_each_level_allows_what_it_says(context, level):
    _, registry = context
    for number, (old, new, backward, forward) in enumerate(CHANGES.values()):
        name = f"s{number}"
        registry.register(name, old)
        assert registry.call("PUT", f"/config/{name}", {"compatibility": level}).status == 200
        asked = registry.call("POST", f"/compatibility/subjects/{name}/versions/latest", {"schema": text(new)})
        expected = allowed(level, backward, forward)
        assert asked.json == {"is_compatible": expected}, (level, list(CHANGES)[number], asked)
        answer = registry.call("POST", f"/subjects/{name}/versions", {"schema": text(new)})
        assert (answer.status, answer.code) == ((200, None) if expected else (409, 409)), (level, list(CHANGES)[number], answer)


@pytest.mark.parametrize("level,verdict", [("BACKWARD", 200), ("BACKWARD_TRANSITIVE", 409), ("FORWARD", 200),
                                           ("FORWARD_TRANSITIVE", 409), ("FULL", 200), ("FULL_TRANSITIVE", 409)])
def test_transitive_levels_look_at_all_versions(context, level, verdict):
    """int, then nothing, then string: each step is fine, the whole way is not."""
    _, registry = context
    a = record("R", {"name": "a", "type": "int", "default": 0}, optional("z"))
    b = record("R", optional("z"))
    c = record("R", {"name": "a", "type": "string", "default": ""}, optional("z"))
    registry.register("s", a)
    registry.register("s", b)
    registry.call("PUT", "/config/s", {"compatibility": level})
    asked = registry.call("POST", "/compatibility/subjects/s/versions", {"schema": text(c)})
    assert asked.json == {"is_compatible": verdict == 200}, asked
    assert registry.call("POST", "/subjects/s/versions", {"schema": text(c)}).status == verdict


def test_questions_about_compatibility(table):
    new = {"schema": text(ADD_REQUIRED)}
    table.run([
        ("POST /compatibility/subjects/{s}/versions/latest", new, 200, {"is_compatible": True}),
        ("POST /compatibility/subjects/{s}/versions", new, 200, {"is_compatible": True}),
        ("POST /compatibility/subjects/{s}/versions/1", new, 404, (40401, "Subject '{s}' not found")) ,
        ("POST /subjects/{s}/versions", {"schema": text(BASE)}, 200, ANYTHING),
        ("POST /compatibility/subjects/{s}/versions/latest", new, 200, {"is_compatible": False}),
        ("POST /compatibility/subjects/{s}/versions/1", new, 200, {"is_compatible": False}),
        ("POST /compatibility/subjects/{s}/versions/-1", new, 200, {"is_compatible": False}),
        ("POST /compatibility/subjects/{s}/versions", new, 200, {"is_compatible": False}),
        ("POST /compatibility/subjects/{s}/versions/2", new, 404, (40402, "Version 2 not found")),
        ("POST /compatibility/subjects/{s}/versions/0", new, 422, 42202),
        ("POST /compatibility/subjects/{s}/versions/x", new, 422, 42202),
        ("POST /compatibility/subjects/{s}/versions/latest", {"schema": "{"}, 422, 42201),
        ("POST /compatibility/subjects/{s}/versions", {"schema": '{"type":"strng"}'}, 422, 42201),
        ("POST /compatibility/subjects/{s}/versions/latest", {"schema": text(ADD_DEFAULT)}, 200, {"is_compatible": True}),
        ("GET /subjects/{s}/versions", None, 200, [1]),
    ])


# schema before, schema after -> what the messages must name
REASONS = {
    "READER_FIELD_MISSING_DEFAULT_VALUE": (BASE, ADD_REQUIRED, "/fields/2", "c"),
    "TYPE_MISMATCH": (BASE, NARROW, "/fields/1/type", "b"),
    "MISSING_ENUM_SYMBOLS": ({"type": "enum", "name": "E", "symbols": ["A", "B"]},
                             {"type": "enum", "name": "E", "symbols": ["A"]}, "/symbols", "B"),
    "FIXED_SIZE_MISMATCH": ({"type": "fixed", "name": "F", "size": 2}, {"type": "fixed", "name": "F", "size": 3}, "/size", "3"),
    "MISSING_UNION_BRANCH": (["null", "int", "string"], ["null", "int"], "/2", "string"),
    "NAME_MISMATCH": (record("R", "a:int"), record("S", "a:int"), "/name", "S"),
}


@pytest.mark.parametrize("reason", REASONS)
def test_verbose_messages_say_what_where_and_why(context, reason):
    _, registry = context
    old, new, path, named = REASONS[reason]
    registry.register("s", old)
    asked = lambda **params: registry.call("POST", "/compatibility/subjects/s/versions/latest", {"schema": text(new)}, **params)
    assert asked().json == {"is_compatible": False}
    assert asked(verbose="false").json == {"is_compatible": False}
    told = asked(verbose="true").json
    assert told["is_compatible"] is False and told["messages"], told
    words = " ".join(told["messages"])
    assert reason in words and path in words and named in words, told
    refused = registry.call("POST", "/subjects/s/versions", {"schema": text(new)})
    assert refused.code == 409 and reason in refused.json["message"] and path in refused.json["message"], refused
    fine = registry.call("POST", "/compatibility/subjects/s/versions/latest", {"schema": text(old)}, verbose="true")
    assert fine.json == {"is_compatible": True, "messages": []}


def test_references_take_part(context):
    _, registry = context
    registry.call("PUT", "/config/t", {"compatibility": "NONE"})
    registry.register("t", record("n.T", "x:int"))
    registry.register("t", record("n.T", "x:string"))
    body = lambda version: {"schema": text(record("R", "t:n.T")),
                            "references": [{"name": "n.T", "subject": "t", "version": version}]}
    assert registry.call("POST", "/subjects/s/versions", body(1)).status == 200
    for version, verdict in ((1, True), (2, False)):
        asked = registry.call("POST", "/compatibility/subjects/s/versions/latest", body(version))
        assert asked.json == {"is_compatible": verdict}, asked
    missing = registry.call("POST", "/compatibility/subjects/s/versions/latest", body(3))
    assert (missing.status, missing.code) == (422, 42201), missing


def test_a_compatibility_group_is_compared_with_itself_only(registry):
    """Versions of another major release are left aside."""
    table = Table(registry)
    one, two = ({"schema": text(schema), "metadata": {"properties": {"major": major}}}
                for schema, major in ((BASE, "1"), (NARROW, "2")))
    table.run([
        ("PUT /config/{s}", {"compatibility": "BACKWARD", "compatibilityGroup": "major"}, 200, ANYTHING),
        ("POST /subjects/{s}/versions", one, 200, ANYTHING),
        ("POST /subjects/{s}/versions", two, 200, ANYTHING),
        ("POST /subjects/{s}/versions", {**one, "schema": text(ADD_DEFAULT)}, 200, ANYTHING),
        ("POST /subjects/{s}/versions", {**one, "schema": text(ADD_REQUIRED)}, 409, 409),
        ("DELETE /config/{s}", None, 200, ANYTHING),
    ])


def test_unknown_subjects_are_compatible_with_everything(registry):
    answer = registry.call("POST", f"/compatibility/subjects/{unique()}/versions/latest", {"schema": '"int"'}, verbose="true")
    assert answer.json == {"is_compatible": True, "messages": []}, answer
