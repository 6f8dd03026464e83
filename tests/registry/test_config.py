"""Configuration of the registry, of a context, of a subject; aliases, defaults and overrides of metadata; modes."""

import pytest
from lib.registry import ANYTHING, Bind, Registry, Table, optional, record, text, unique

A = {"schema": text(record("A", "x:int"))}
B = {"schema": text(record("A", "x:int", optional("y")))}
WRONG = {"schema": '"string"'}
LEVELS = ("NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE")

TABLES = {
    "a_subject_has_no_level_of_its_own_until_it_is_given_one": [
        ("GET /config/{s}", None, 404, (40408, "Subject '{s}' does not have subject-level compatibility configured")),
        ("GET /config/{s}?defaultToGlobal=true", None, 200, {"compatibilityLevel": "BACKWARD"}),
        ("PUT /config/{s}", {"compatibility": "FULL"}, 200, {"compatibility": "FULL"}),
        ("GET /config/{s}", None, 200, {"compatibilityLevel": "FULL"}),
        ("GET /config/{s}?defaultToGlobal=true", None, 200, {"compatibilityLevel": "FULL"}),
        ("DELETE /config/{s}", None, 200, {"compatibilityLevel": "FULL"}),
        ("GET /config/{s}", None, 404, 40408),
        ("DELETE /config/{s}", None, 404, (40401, "{s}")),
    ],
    "levels_are_checked": [
        *[("PUT /config/{s}", {"compatibility": level}, 200, {"compatibility": level}) for level in LEVELS],
        *[("PUT /config/{s}", {"compatibility": level}, 422, (42203, "(?i)valid values.*full_transitive"))
          for level in ("", "SIDEWAYS", "BACKWARD ")],
        ("GET /config/{s}", None, 200, {"compatibilityLevel": "FULL_TRANSITIVE"}),
        ("PUT /config/{s}", {"compatibility": "backward"}, 200, {"compatibility": "BACKWARD"}),
        ("DELETE /config/{s}", None, 200, ANYTHING),
    ],
    "a_subjects_level_is_in_force_at_once": [
        ("POST /subjects/{s}/versions", A, 200, ANYTHING),
        ("POST /subjects/{s}/versions", WRONG, 409, 409),
        ("PUT /config/{s}", {"compatibility": "NONE"}, 200, ANYTHING),
        ("POST /subjects/{s}/versions", WRONG, 200, ANYTHING),
        ("DELETE /config/{s}", None, 200, ANYTHING),
        ("POST /subjects/{s}/versions", A, 200, ANYTHING),
    ],
    "an_alias_is_another_name": [
        ("POST /subjects/{s}/versions", A, 200, {"id": Bind("a")}),
        ("PUT /config/{t}", {"alias": "{s}"}, 200, {"alias": "{s}"}),
        ("GET /subjects/{t}/versions", None, 200, [1]),
        ("GET /subjects/{t}/versions/latest", None, 200, {"id": Bind("a"), "version": 1}),
        ("POST /subjects/{t}", A, 200, {"id": Bind("a")}),
        ("DELETE /config/{t}", None, 200, ANYTHING),
        ("GET /subjects/{t}/versions", None, 404, 40401),
    ],
    "normalizing_can_be_the_subjects_custom": [
        ("PUT /config/{s}", {"normalize": True}, 200, {"normalize": True}),
        ("POST /subjects/{s}/versions", {"schema": text(record("R", b=1, a=2))}, 200, {"id": Bind("a")}),
        ("POST /subjects/{s}/versions", {"schema": text(record("R", a=2, b=1))}, 200, {"id": Bind("a")}),
        ("GET /subjects/{s}/versions", None, 200, [1]),
    ],
    "metadata_are_filled_in_and_overridden": [
        ("PUT /config/{s}", {"defaultMetadata": {"properties": {"owner": "nobody", "tier": "3"}},
                             "overrideMetadata": {"properties": {"tier": "1"}}}, 200, ANYTHING),
        ("POST /subjects/{s}/versions", {**A, "metadata": {"properties": {"owner": "bob", "tier": "2"}}}, 200, ANYTHING),
        ("GET /subjects/{s}/versions/1", None, 200, {"metadata": {"properties": {"owner": "bob", "tier": "1"}}}),
        ("GET /config/{s}", None, 200, {"defaultMetadata": {"properties": {"owner": "nobody", "tier": "3"}}}),
        ("DELETE /config/{s}", None, 200, ANYTHING),
    ],
}


@pytest.mark.parametrize("name", TABLES)
def test(table, name):
    table.run(TABLES[name])


@pytest.mark.parametrize("body", [{"compatibility": 1}, {"normalize": "perhaps"}, {"defaultMetadata": []}, [], b"{"])
def test_what_is_no_configuration(registry, body):
    name = unique()
    assert registry.call("PUT", f"/config/{name}", body).status in (400, 422)
    assert registry.call("GET", f"/config/{name}").code == 40408


def test_a_contexts_level_stands_between(context):
    """subject, then context, then the registry's own"""
    _, registry = context
    Table(registry).run([
        ("GET /config", None, 200, {"compatibilityLevel": "BACKWARD"}),
        ("PUT /config", {"compatibility": "NONE"}, 200, {"compatibility": "NONE"}),
        ("GET /config", None, 200, {"compatibilityLevel": "NONE"}),
        ("GET /config/s?defaultToGlobal=true", None, 200, {"compatibilityLevel": "NONE"}),
        ("POST /subjects/s/versions", A, 200, ANYTHING),
        ("POST /subjects/s/versions", WRONG, 200, ANYTHING),
        ("PUT /config/s", {"compatibility": "FULL"}, 200, ANYTHING),
        ("POST /subjects/s/versions", {"schema": '"long"'}, 409, 409),
        ("DELETE /config", None, 200, {"compatibilityLevel": "NONE"}),
        ("GET /config", None, 200, {"compatibilityLevel": "BACKWARD"}),
        ("GET /config/s", None, 200, {"compatibilityLevel": "FULL"}),
    ])


def test_the_level_of_all(registry):
    assert registry.read("/config")["compatibilityLevel"] == "BACKWARD"
    try:
        Table(registry).run([
            ("PUT /config", {"compatibility": "FULL"}, 200, {"compatibility": "FULL"}),
            ("GET /config", None, 200, {"compatibilityLevel": "FULL"}),
            ("PUT /config", {"compatibility": "NO"}, 422, 42203),
            ("POST /subjects/{s}/versions", A, 200, ANYTHING),
            ("POST /subjects/{s}/versions", {"schema": text(record("A", "x:long"))}, 409, 409),
        ])
    finally:
        assert registry.call("DELETE", "/config").status == 200
    assert registry.read("/config")["compatibilityLevel"] == "BACKWARD"


# --- modes ---

MODES = {
    "a_subject_has_no_mode_of_its_own_until_it_is_given_one": [
        ("GET /mode", None, 200, {"mode": "READWRITE"}),
        ("GET /mode/{s}", None, 404, (40409, "Subject '{s}' does not have subject-level mode configured")),
        ("GET /mode/{s}?defaultToGlobal=true", None, 200, {"mode": "READWRITE"}),
        ("PUT /mode/{s}", {"mode": "READONLY"}, 200, {"mode": "READONLY"}),
        ("GET /mode/{s}", None, 200, {"mode": "READONLY"}),
        ("DELETE /mode/{s}", None, 200, {"mode": "READONLY"}),
        ("GET /mode/{s}", None, 404, 40409),
        ("DELETE /mode/{s}", None, 404, 40401),
        *[("PUT /mode/{s}", {"mode": mode}, 422, (42204, "(?i)valid values.*READWRITE")) for mode in ("", "WRITEONLY")],
    ],
    "a_read_only_subject_takes_nothing": [
        ("POST /subjects/{s}/versions", A, 200, {"id": Bind("a")}),
        ("PUT /mode/{s}", {"mode": "READONLY"}, 200, ANYTHING),
        ("POST /subjects/{s}/versions", B, 422, (42205, "(?i)read-only")),
        ("POST /subjects/{s}", A, 200, {"id": Bind("a")}),
        ("DELETE /subjects/{s}/versions/1", None, 422, 42205),
        ("DELETE /subjects/{s}", None, 422, 42205),
        ("PUT /config/{s}", {"compatibility": "NONE"}, 422, 42205),
        ("GET /subjects/{s}/versions", None, 200, [1]),
        ("PUT /mode/{s}", {"mode": "READWRITE"}, 200, ANYTHING),
        ("POST /subjects/{s}/versions", B, 200, ANYTHING),
    ],
    "importing_needs_a_subject_without_versions": [
        ("POST /subjects/{s}/versions", A, 200, ANYTHING),
        ("PUT /mode/{s}", {"mode": "IMPORT"}, 422, (42205, "(?i)import")),
        ("PUT /mode/{s}?force=true", {"mode": "IMPORT"}, 200, {"mode": "IMPORT"}),
        ("PUT /mode/{s}", {"mode": "READWRITE"}, 200, ANYTHING),
        ("DELETE /subjects/{s}", None, 200, [1]),
        ("DELETE /subjects/{s}?permanent=true", None, 200, [1]),
    ],
}


@pytest.mark.parametrize("name", MODES)
def test_mode(table, name):
    table.run(MODES[name])


def test_imported_schemas_keep_their_ids_and_versions(context):
    _, registry = context
    table = Table(registry)
    table.run([("POST /subjects/probe/versions", {"schema": '"boolean"'}, 200, {"id": Bind("probe")})])
    first, second = table.names["probe"] + 1_000_000, table.names["probe"] + 1_000_007
    table.run([
        ("PUT /mode/s", {"mode": "IMPORT"}, 200, {"mode": "IMPORT"}),
        ("POST /subjects/s/versions", {**A, "id": first, "version": 3}, 200, {"id": first}),
        ("POST /subjects/s/versions", {**A, "id": first, "version": 3}, 200, {"id": first}),
        ("POST /subjects/s/versions", {**WRONG, "id": second, "version": 7}, 200, {"id": second}),
        ("GET /subjects/s/versions", None, 200, [3, 7]),
        (f"GET /schemas/ids/{first}", None, 200, A),
        ("POST /subjects/s/versions", {**B, "id": first, "version": 9}, 422, 42205),
        ("POST /subjects/s/versions", {**B, "version": 9}, 422, 42205),
        ("POST /subjects/s/versions", B, 422, 42205),
        ("PUT /mode/s", {"mode": "READWRITE"}, 200, ANYTHING),
        ("PUT /config/s", {"compatibility": "NONE"}, 200, ANYTHING),
        ("POST /subjects/s/versions", B, 200, {"id": Bind("next")}),
        ("GET /subjects/s/versions", None, 200, [3, 7, 8]),
    ])
    assert table.names["next"] not in (first, second)


def test_an_id_that_another_context_uses_cannot_be_imported(context, stack, operator):
    _, registry = context
    other = Registry(f"{stack.upstream('registry')}/contexts/:{unique('.d')}:", auth=operator)
    number = registry.register("s", A["schema"])
    assert other.call("PUT", "/mode/t", {"mode": "IMPORT"}).status == 200
    answer = other.call("POST", "/subjects/t/versions", {**B, "id": number, "version": 1})
    assert (answer.status, answer.code) == (422, 42205), answer
    assert registry.read(f"/schemas/ids/{number}")["schema"] == A["schema"]


def test_an_imported_id_is_never_given_away_again(context, registry):
    """The sequence goes past what was imported."""
    _, inside = context
    top = registry.register(unique(), text(record("N", f"{unique('f').replace('-', '_')}:int"))) + 3
    assert inside.call("PUT", "/mode/s", {"mode": "IMPORT"}).status == 200
    assert inside.call("POST", "/subjects/s/versions", {**A, "id": top, "version": 1}).json["id"] == top
    given = [inside.register(f"n{number}", text(record(f"N{number}", "x:int"))) for number in range(8)]
    assert top not in given and len(set(given)) == 8, (top, given)


def test_a_contexts_mode_holds_for_its_subjects(context):
    _, registry = context
    Table(registry).run([
        ("POST /subjects/s/versions", A, 200, ANYTHING),
        ("PUT /mode", {"mode": "READONLY"}, 200, {"mode": "READONLY"}),
        ("GET /mode", None, 200, {"mode": "READONLY"}),
        ("GET /mode/s?defaultToGlobal=true", None, 200, {"mode": "READONLY"}),
        ("POST /subjects/t/versions", A, 422, 42205),
        ("DELETE /subjects/s", None, 422, 42205),
        ("PUT /mode/t", {"mode": "READWRITE"}, 200, ANYTHING),
        ("POST /subjects/t/versions", A, 200, ANYTHING),
        ("PUT /mode", {"mode": "READWRITE"}, 200, ANYTHING),
        ("POST /subjects/s/versions", B, 200, ANYTHING),
        ("DELETE /subjects/s", None, 200, [1, 2]),
    ])


def test_deleting_a_contexts_mode_with_all_below_it(context):
    _, registry = context
    Table(registry).run([
        ("PUT /mode/s", {"mode": "READONLY"}, 200, ANYTHING),
        ("PUT /mode", {"mode": "READONLY"}, 200, ANYTHING),
        ("DELETE /mode?recursive=true", None, 200, {"mode": "READONLY"}),
        ("GET /mode", None, 200, {"mode": "READWRITE"}),
        ("GET /mode/s", None, 404, 40409),
        ("POST /subjects/s/versions", A, 200, ANYTHING),
    ])


def test_a_whole_context_can_be_imported(context):
    """IMPORT for the context needs it empty, or force; outside of it nothing changes."""
    _, registry = context
    table = Table(registry)
    table.run([("POST /subjects/s/versions", A, 200, {"id": Bind("a")}),
               ("PUT /mode", {"mode": "IMPORT"}, 422, 42205),
               ("PUT /mode?force=true", {"mode": "IMPORT"}, 200, {"mode": "IMPORT"}),
               ("POST /subjects/t/versions", A, 422, 42205)])
    number = table.names["a"] + 500_000
    table.run([("POST /subjects/t/versions", {**B, "id": number, "version": 4}, 200, {"id": number}),
               ("GET /subjects/t/versions", None, 200, [4]),
               ("DELETE /mode", None, 200, {"mode": "IMPORT"}),
               ("POST /subjects/t/versions", A, 200, {"id": Bind("a")})])


def test_settings_go_with_the_subject(registry):
    """A subject that was deleted and comes back has none of its former configuration."""
    Table(registry).run([
        ("POST /subjects/{s}/versions", A, 200, ANYTHING),
        ("PUT /config/{s}", {"compatibility": "NONE"}, 200, ANYTHING),
        ("DELETE /subjects/{s}", None, 200, [1]),
        ("GET /config/{s}", None, 404, 40408),
        ("POST /subjects/{s}/versions", A, 200, ANYTHING),
        ("POST /subjects/{s}/versions", WRONG, 409, 409),
    ])


def test_when_the_version_numbers_are_used_up_it_says_so(context):
    _, registry = context
    number = registry.register("probe", '"int"') + 700_000
    Table(registry).run([
        ("PUT /mode/s", {"mode": "IMPORT"}, 200, ANYTHING),
        ("POST /subjects/s/versions", {**A, "id": number, "version": 2147483647}, 200, {"version": 2147483647}),
        ("PUT /mode/s", {"mode": "READWRITE"}, 200, ANYTHING),
        ("POST /subjects/s/versions", B, 422, (42205, "used up")),
        ("GET /subjects/s/versions", None, 200, [2147483647]),
    ])
