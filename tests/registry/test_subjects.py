"""Subjects and versions: every route, parameter, status and error code, as tables."""

import pytest
from lib.registry import ANYTHING, Bind, Registry, V1, optional, quoted, record, text, unique

INT, LONG = {"schema": '"int"'}, {"schema": '"long"'}
A = {"schema": text(record("A", "x:int"))}
B = {"schema": text(record("A", "x:int", optional("y")))}
C = {"schema": text(record("A", "x:int", optional("y"), optional("z")))}
BAD = {"schema": '{"type":"strng"}'}

POST_V = "POST /subjects/{s}/versions"
V_FORM = r"not a valid version id.*\[1, 2\^31-1\].*latest"

TABLES = {
    "registering_the_same_schema_again_gives_the_same_id_and_no_new_version": [
        (POST_V, A, 200, {"id": Bind("a")}),
        (POST_V, A, 200, {"id": Bind("a")}),
        (POST_V, B, 200, {"id": Bind("b")}),
        (POST_V, A, 200, {"id": Bind("a")}),
        ("GET /subjects/{s}/versions", None, 200, [1, 2]),
        ("POST /subjects/{t}/versions", B, 200, {"id": Bind("b")}),
        ("GET /subjects/{t}/versions", None, 200, [1]),
    ],
    "a_version_is_read_by_number_latest_and_minus_one": [
        (POST_V, A, 200, {"id": Bind("a")}),
        (POST_V, B, 200, {"id": Bind("b")}),
        ("GET /subjects/{s}/versions/1", None, 200, {"subject": "{s}", "version": 1, "id": Bind("a"), **A}),
        ("GET /subjects/{s}/versions/2", None, 200, {"subject": "{s}", "version": 2, "id": Bind("b"), **B}),
        ("GET /subjects/{s}/versions/latest", None, 200, {"version": 2, "id": Bind("b")}),
        ("GET /subjects/{s}/versions/-1", None, 200, {"version": 2, "id": Bind("b")}),
        ("GET /subjects/{s}/versions/3", None, 404, (40402, "Version 3 not found")),
        ("GET /subjects/{t}/versions/1", None, 404, (40401, "Subject '{t}' not found")),
        ("GET /subjects/{t}/versions/latest", None, 404, 40401),
    ],
    "a_version_that_is_no_number_is_refused_on_every_route": [
        (POST_V, A, 200, ANYTHING),
        *[(f"{route} /subjects/{{s}}/versions/{version}{tail}", None, 422, (42202, V_FORM))
          for version in ("0", "-2", "x", "1x", "2147483648", "99999999999999999999", "1.0", "LATEST")
          for route, tail in (("GET", ""), ("DELETE", ""), ("GET", "/schema"), ("GET", "/referencedby"))],
    ],
    "the_bare_schema_of_a_version": [
        (POST_V, {"schema": '{"type": "string"}'}, 200, ANYTHING),
        ("GET /subjects/{s}/versions/1/schema", None, 200, "string"),
        ("GET /subjects/{s}/versions/latest/schema", None, 200, "string"),
        ("GET /subjects/{s}/versions/2/schema", None, 404, 40402),
        ("GET /subjects/{t}/versions/1/schema", None, 404, 40401),
    ],
    "looking_a_schema_up": [
        ("POST /subjects/{s}", A, 404, (40401, "Subject '{s}' not found")),
        (POST_V, A, 200, {"id": Bind("a")}),
        (POST_V, B, 200, {"id": Bind("b")}),
        ("POST /subjects/{s}", A, 200, {"subject": "{s}", "version": 1, "id": Bind("a"), **A}),
        ("POST /subjects/{s}", B, 200, {"version": 2, "id": Bind("b")}),
        ("POST /subjects/{s}", C, 404, (40403, "Schema not found")),
        ("POST /subjects/{s}", BAD, 422, 42201),
        ("POST /subjects/{s}", {"schema": text(record("A", {"type": "int", "name": "x"}))}, 200, {"id": Bind("a")}),
        ("DELETE /subjects/{s}/versions/1", None, 200, 1),
        ("POST /subjects/{s}", A, 404, 40403),
        ("POST /subjects/{s}?deleted=true", A, 200, {"version": 1, "id": Bind("a")}),
        ("DELETE /subjects/{s}", None, 200, [2]),
        ("POST /subjects/{s}", B, 404, 40401),
        ("POST /subjects/{s}?deleted=TRUE", B, 200, {"version": 2}),
    ],
    "invalid_schemas_are_refused": [
        *[(POST_V, {"schema": schema}, 422, (42201, "(?s).{10,}")) for schema in (
            '{"type":"strng"}', "", "{", "nonsense", '{"type":"record","name":"R"}', "[]x", "1", "null", "{}",
            '{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}',
            '{"type":"record","name":"R","fields":[{"name":"r","type":"R"}]}',
            '{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}',
            '{"type":"enum","name":"E","symbols":["A","A"]}', '{"type":"enum","name":"E","symbols":["A"],"default":"B"}',
            '{"type":"fixed","name":"F","size":-1}', '{"type":"fixed","name":"F","size":"8"}', '{"type":"array"}',
            '["int","int"]', '["int",["string"]]', '{"type":"record","name":"1R","fields":[]}',
            '{"type":"record","name":"R","fields":[{"name":"a b","type":"int"}]}', '{"type":"map","values":"nobody"}')],
        (POST_V, {}, 422, 42201),
        ("GET /subjects/{s}/versions", None, 404, 40401),
    ],
    "what_is_no_request_for_a_schema": [
        (POST_V, {"schema": '"int"', "schemaType": "PROTOBUF"}, 422, (42201, "AVRO")),
        (POST_V, {"schema": '"int"', "schemaType": "AVRO"}, 200, ANYTHING),
        (POST_V, {"schema": '"int"', "schemaType": None}, 200, ANYTHING),
        (POST_V, {"schema": '"int"', "references": []}, 200, ANYTHING),
        ("GET /subjects/{s}/versions", None, 200, [1]),
    ],
    "an_id_or_version_is_only_given_in_import_mode": [
        (POST_V, {**A, "id": 123456789}, 422, (42205, "(?i)import")),
        ("GET /subjects/{s}/versions", None, 404, 40401),
    ],
    "incompatible_schemas_are_refused_with_the_reason": [
        (POST_V, A, 200, ANYTHING),
        (POST_V, {"schema": text(record("A", "x:string"))}, 409, (409, "(?s)incompatible.*x.*")),
        (POST_V, {"schema": text(record("A", "x:int", "y:int"))}, 409, (409, "READER_FIELD_MISSING_DEFAULT_VALUE")),
        ("GET /subjects/{s}/versions", None, 200, [1]),
    ],
    "a_version_is_deleted_softly_and_then_for_good": [
        (POST_V, A, 200, {"id": Bind("a")}), (POST_V, B, 200, {"id": Bind("b")}),
        ("DELETE /subjects/{s}/versions/1?permanent=true", None, 404, (40407, "not deleted first")),
        ("DELETE /subjects/{s}/versions/1", None, 200, 1),
        ("DELETE /subjects/{s}/versions/1", None, 404, (40406, "soft deleted.*permanent=true")),
        ("GET /subjects/{s}/versions/1", None, 404, 40402),
        ("GET /subjects/{s}/versions/1?deleted=true", None, 200, {"version": 1, "id": Bind("a")}),
        ("GET /subjects/{s}/versions/1/schema?deleted=true", None, 200, {"type": "record"}),
        ("GET /subjects/{s}/versions", None, 200, [2]),
        ("GET /subjects/{s}/versions?deleted=true", None, 200, [1, 2]),
        ("GET /subjects/{s}/versions?deletedOnly=true", None, 200, [1]),
        ("GET /subjects/{s}/versions?deleted=true&deletedAsNegative=true", None, 200, [-1, 2]),
        ("GET /schemas/ids/{a}", None, 200, A),
        ("DELETE /subjects/{s}/versions/1?permanent=true", None, 200, 1),
        ("DELETE /subjects/{s}/versions/1?permanent=true", None, 404, 40402),
        ("DELETE /subjects/{s}/versions/1", None, 404, 40402),
        ("GET /subjects/{s}/versions?deleted=true", None, 200, [2]),
        ("DELETE /subjects/{s}/versions/9", None, 404, 40402),
        ("DELETE /subjects/{t}/versions/1", None, 404, 40401),
        ("DELETE /subjects/{s}/versions/latest", None, 200, 2),
        ("GET /subjects/{s}/versions", None, 404, 40401),
        ("GET /subjects/{s}/versions/latest", None, 404, 40401),
    ],
    "a_subject_is_deleted_softly_and_then_for_good": [
        ("DELETE /subjects/{s}", None, 404, (40401, "Subject '{s}' not found")),
        ("DELETE /subjects/{s}?permanent=true", None, 404, 40401),
        (POST_V, A, 200, {"id": Bind("a")}), (POST_V, B, 200, {"id": Bind("b")}),
        ("DELETE /subjects/{s}?permanent=true", None, 404, (40405, "not deleted first")),
        ("DELETE /subjects/{s}", None, 200, [1, 2]),
        ("DELETE /subjects/{s}", None, 404, (40404, "soft deleted.*permanent=true")),
        ("GET /subjects/{s}/versions", None, 404, 40401),
        ("GET /subjects/{s}/versions?deleted=true", None, 200, [1, 2]),
        ("GET /subjects?subjectPrefix={s}", None, 200, []),
        ("GET /subjects?subjectPrefix={s}&deleted=true", None, 200, ["{s}"]),
        ("GET /subjects?subjectPrefix={s}&deletedOnly=true", None, 200, ["{s}"]),
        ("DELETE /subjects/{s}?permanent=True", None, 200, [1, 2]),
        ("GET /subjects?subjectPrefix={s}&deleted=true", None, 200, []),
        ("DELETE /subjects/{s}?permanent=true", None, 404, 40401),
        ("GET /subjects/{s}/versions?deleted=true", None, 404, 40401),
    ],
    "version_numbers_are_never_used_again": [
        (POST_V, A, 200, {"id": Bind("a")}), (POST_V, B, 200, {"id": Bind("b")}),
        ("DELETE /subjects/{s}/versions/2", None, 200, 2),
        (POST_V, C, 200, {"id": Bind("c")}),
        ("GET /subjects/{s}/versions", None, 200, [1, 3]),
        (POST_V, B, 200, {"id": Bind("b")}),
        ("GET /subjects/{s}/versions/latest", None, 200, {"id": Bind("b"), "version": 4}),
        ("DELETE /subjects/{s}", None, 200, [1, 3, 4]),
        ("GET /subjects/{s}/versions?deletedOnly=true&limit=1", None, 200, [1]),
        (POST_V, A, 200, {"id": Bind("a")}),
        ("GET /subjects/{s}/versions", None, 200, [5]),
    ],
    "a_soft_deleted_schema_comes_back_with_its_id": [
        (POST_V, A, 200, {"id": Bind("a")}),
        ("DELETE /subjects/{s}", None, 200, [1]),
        (POST_V, A, 200, {"id": Bind("a")}),
        ("GET /subjects/{s}/versions/latest", None, 200, {"id": Bind("a"), **A}),
    ],
    "after_a_deletion_what_was_incompatible_may_come": [
        (POST_V, A, 200, ANYTHING),
        (POST_V, INT, 409, 409),
        ("DELETE /subjects/{s}", None, 200, [1]),
        (POST_V, INT, 200, ANYTHING),
    ],
    "versions_come_in_pages": [
        (POST_V, A, 200, ANYTHING), (POST_V, B, 200, ANYTHING), (POST_V, C, 200, ANYTHING),
        ("GET /subjects/{s}/versions?offset=1", None, 200, [2, 3]),
        ("GET /subjects/{s}/versions?limit=2", None, 200, [1, 2]),
        ("GET /subjects/{s}/versions?offset=1&limit=1", None, 200, [2]),
        ("GET /subjects/{s}/versions?offset=9", None, 200, []),
        ("GET /subjects/{s}/versions?limit=-1", None, 200, [1, 2, 3]),
    ],
    "subjects_are_listed_by_prefix_and_in_pages": [
        ("POST /subjects/{s}-a/versions", A, 200, ANYTHING), ("POST /subjects/{s}-b/versions", A, 200, ANYTHING),
        ("POST /subjects/{s}-c/versions", A, 200, ANYTHING),
        ("GET /subjects?subjectPrefix={s}", None, 200, ["{s}-a", "{s}-b", "{s}-c"]),
        ("GET /subjects?subjectPrefix={s}-b", None, 200, ["{s}-b"]),
        ("GET /subjects?subjectPrefix={s}-d", None, 200, []),
        ("GET /subjects?subjectPrefix={s}&offset=1&limit=1", None, 200, ["{s}-b"]),
        ("DELETE /subjects/{s}-b", None, 200, [1]),
        ("GET /subjects?subjectPrefix={s}", None, 200, ["{s}-a", "{s}-c"]),
        ("GET /subjects?subjectPrefix={s}&deleted=true", None, 200, ["{s}-a", "{s}-b", "{s}-c"]),
        ("GET /subjects?subjectPrefix={s}&deletedOnly=true", None, 200, ["{s}-b"]),
    ],
    "what_is_referenced_stays": [
        ("POST /subjects/{t}/versions", {"schema": text(record("n.T", "x:int"))}, 200, ANYTHING),
        (POST_V, {"schema": text(record("A", "t:n.T")),
                  "references": [{"name": "n.T", "subject": "{t}", "version": 1}]}, 200, {"id": Bind("a")}),
        ("GET /subjects/{t}/versions/1/referencedby", None, 200, [Bind("a")]),
        ("GET /subjects/{t}/versions/latest/referencedby", None, 200, [Bind("a")]),
        ("GET /subjects/{s}/versions/1/referencedby", None, 200, []),
        ("GET /subjects/{t}/versions/2/referencedby", None, 404, 40402),
        ("GET /subjects/{u}/versions/1/referencedby", None, 404, 40401),
        ("DELETE /subjects/{t}/versions/1", None, 422, (42206, "(?i)reference")),
        ("DELETE /subjects/{t}", None, 422, (42206, "(?i)reference")),
        ("GET /subjects/{t}/versions", None, 200, [1]),
        ("DELETE /subjects/{s}", None, 200, [1]),
        ("DELETE /subjects/{s}?permanent=true", None, 200, [1]),
        ("GET /subjects/{t}/versions/1/referencedby", None, 200, []),
        ("DELETE /subjects/{t}", None, 200, [1]),
        ("DELETE /subjects/{t}?permanent=true", None, 200, [1]),
    ],
    "references_are_shown_and_used": [
        ("POST /subjects/{t}/versions", {"schema": text(record("n.T", "x:int"))}, 200, {"id": Bind("t_id")}),
        (POST_V, {"schema": text(record("A", "t:n.T")),
                  "references": [{"name": "n.T", "subject": "{t}", "version": 1}]}, 200, {"id": Bind("a")}),
        ("GET /subjects/{s}/versions/1", None, 200,
         {"references": [{"name": "n.T", "subject": "{t}", "version": 1}]}),
        ("GET /schemas/ids/{a}", None, 200, {"schema": text(record("A", "t:n.T")),
                                             "references": [{"name": "n.T", "subject": "{t}", "version": 1}]}),
        ("POST /subjects/{s}", {"schema": text(record("A", "t:n.T")),
                                "references": [{"name": "n.T", "subject": "{t}", "version": 1}]}, 200, {"id": Bind("a")}),
        (POST_V, {"schema": text(record("A", "t:n.T"))}, 422, 42201),
        (POST_V, {"schema": text(record("A", "t:n.T")),
                  "references": [{"name": "n.T", "subject": "{t}", "version": 2}]}, 422, (42201, "{t}")),
        (POST_V, {"schema": text(record("A", "t:n.T")),
                  "references": [{"name": "n.T", "subject": "{u}", "version": 1}]}, 422, (42201, "{u}")),
        (POST_V, {"schema": text(record("A", "t:n.T")), "references": [{"name": "n.T"}]}, 422, 42201),
        (POST_V, {"schema": text(record("A", "t:n.T")),
                  "references": [{"name": "n.T", "subject": "{t}", "version": -1}]}, 200, {"id": Bind("a")}),
    ],
    "a_changed_reference_is_checked_like_the_schema_itself": [
        ("POST /subjects/{t}/versions", {"schema": text(record("n.T", "x:int"))}, 200, ANYTHING),
        ("PUT /config/{t}", {"compatibility": "NONE"}, 200, ANYTHING),
        ("POST /subjects/{t}/versions", {"schema": text(record("n.T", "x:string"))}, 200, ANYTHING),
        (POST_V, {"schema": text(record("A", "t:n.T")),
                  "references": [{"name": "n.T", "subject": "{t}", "version": 1}]}, 200, {"id": Bind("a")}),
        (POST_V, {"schema": text(record("A", "t:n.T")),
                  "references": [{"name": "n.T", "subject": "{t}", "version": 2}]}, 409, 409),
        ("DELETE /config/{t}", None, 200, ANYTHING),
    ],
}


@pytest.mark.parametrize("name", TABLES)
def test(table, name):
    table.run(TABLES[name])


def test_latest_of_metadata(table):
    tagged = {**A, "metadata": {"properties": {"owner": "bob", "tier": "1"}}}
    retagged = {**B, "metadata": {"properties": {"owner": "eve", "tier": "1"}}}
    table.run([
        (POST_V, tagged, 200, {"id": Bind("a")}), (POST_V, retagged, 200, {"id": Bind("b")}),
        ("GET /subjects/{s}/metadata?key=owner&value=bob", None, 200, {"version": 1, "id": Bind("a")}),
        ("GET /subjects/{s}/metadata?key=tier&value=1", None, 200, {"version": 2, "id": Bind("b")}),
        ("GET /subjects/{s}/metadata?key=tier&value=1&key=owner&value=bob", None, 200, {"version": 1}),
        ("GET /subjects/{s}/versions/1", None, 200, {"metadata": {"properties": {"owner": "bob", "tier": "1"}}}),
        ("GET /subjects/{t}/metadata?key=a&value=b", None, 404, 40401),
    ])
    missing = table.registry.call("GET", table.filled("/subjects/{s}/metadata"), key="owner", value="nobody")
    assert (missing.status, missing.code) in ((404, 40401), (404, 40402), (404, 40403)), missing


@pytest.mark.parametrize("subject", ["a/b", "a b", "é☃", "%", "a%2Fb", "a+b", "a?b#c", "a.b:c", "x" * 200, "-", "a&b=c"])
def test_subjects_are_percent_decoded(registry, subject):
    name = unique() + subject
    schema = registry.register(name, '"int"')
    assert registry.versions(name) == [1]
    assert registry.read(f"/subjects/{quoted(name)}/versions/1")["subject"] == name
    assert registry.read(f"/subjects/{quoted(name)}/versions/1")["id"] == schema
    assert name in registry.read("/subjects")
    assert registry.call("DELETE", f"/subjects/{quoted(name)}").json == [1]
    assert registry.call("DELETE", f"/subjects/{quoted(name)}", permanent="true").json == [1]


@pytest.mark.parametrize("flag,on", [("true", True), ("TRUE", True), ("True", True), ("false", False), ("False", False),
                                     ("", False), ("1", False), ("yes", False)])
def test_booleans_are_case_insensitive(registry, flag, on):
    name = unique()
    registry.register(name, '"int"')
    registry.call("DELETE", f"/subjects/{name}")
    answer = registry.call("GET", "/subjects", subjectPrefix=name, deleted=flag)
    assert answer.json == ([name] if on else []), answer


@pytest.mark.parametrize("media", [V1, "application/vnd.schemaregistry+json", "application/json",
                                   "application/octet-stream", V1 + "; charset=utf-8"])
def test_media_types(registry, media):
    name = unique()
    answer = registry.call("POST", f"/subjects/{name}/versions", {"schema": '"int"'},
                           headers={"Content-Type": media, "Accept": media})
    assert answer.status == 200, answer
    answer = registry.call("GET", f"/subjects/{name}/versions", headers={"Accept": f"{media}, */*;q=0.1"})
    assert answer.json == [1]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"null", b'{"schema":1}', b'{"schema":"\\"int\\""} x',
                                  b'{"schema":"\\"int\\"","references":1}', b"\xff\xfe", b'{"schema":null}'])
def test_bodies_that_are_no_request(registry, body):
    answer = registry.call("POST", f"/subjects/{unique()}/versions", body)
    assert answer.status in (400, 422), answer


def test_unknown_members_and_parameters_are_ignored(registry):
    name = unique()
    answer = registry.call("POST", f"/subjects/{name}/versions", {"schema": '"int"', "fromTheFuture": {"a": [1]}},
                           whatever="1")
    assert answer.status == 200, answer


def test_routes_and_methods_that_there_are_not(registry):
    for method, path in (("GET", "/nothing"), ("GET", "/subjects/a/b/c"), ("GET", "/schemas/ids"), ("GET", "/v1/metadata")):
        assert registry.call(method, path).status == 404, path
    for method, path in (("PUT", "/subjects"), ("POST", "/config"), ("DELETE", "/schemas/ids/1"), ("PATCH", "/subjects/a")):
        assert registry.call(method, path).status == 405, path


def test_nobody_gets_in_without_the_operators_password(stack, operator):
    for auth in (None, (operator[0], "wrong"), ("wrong", operator[1]), ("", "")):
        answer = Registry(stack.upstream("registry"), auth=auth).call("GET", "/subjects")
        assert (answer.status, answer.code) == (401, 401), (auth, answer)
        assert answer.headers["WWW-Authenticate"].startswith("Basic")


def test_root_and_types(registry):
    assert registry.read("/") == {}
    assert registry.read("/schemas/types") == ["AVRO"]
    assert isinstance(registry.read("/v1/metadata/id")["id"], str)
    assert isinstance(registry.read("/v1/metadata/version")["version"], str)


def test_a_subject_too_long_or_with_control_characters_is_refused(registry):
    for name in ("x" * 4000, "a\nb", "a\x00b", "\x7f"):
        answer = registry.call("POST", f"/subjects/{quoted(name)}/versions", {"schema": '"int"'})
        assert answer.status in (400, 414, 422), (name[:10], answer)


def test_the_text_as_registered(registry):
    name, odd = unique(), '{ "type":\n  "string" }'
    number = registry.register(name, odd)
    assert registry.read(f"/schemas/ids/{number}")["schema"] == '"string"'
    assert registry.read(f"/subjects/{name}/versions/1")["schema"] == '"string"'
    spelled = text(record("Odd", {"type": {"type": "long"}, "name": "x", "doc": "d"})).replace(":", " : ")
    number = registry.register(unique(), spelled)
    assert registry.read(f"/schemas/ids/{number}", format="original")["schema"] == spelled
    assert registry.read(f"/schemas/ids/{number}")["schema"] == (
        '{"type":"record","name":"Odd","fields":[{"name":"x","type":"long","doc":"d"}]}')


@pytest.mark.parametrize("query", ["offset=x", "limit=x", "offset=99999999999999999999"])
def test_numbers_that_are_none(registry, query):
    assert registry.call("GET", f"/subjects?{query}").status in (400, 422)


def test_clients_that_ask_for_associations_hear_that_there_are_none(registry, own):
    """The newest clients do before they fall back to the topic's name; only 404 lets them go on."""
    for client in (registry, own):
        answer = client.call("GET", "/associations/resources/-/topic?resourceType=topic&associationType=value")
        assert (answer.status, answer.code) == (404, 404), answer


def test_references_written_out(registry):
    inner, outer = unique(), unique()
    registry.register(inner, record("n.T", "x:int"))
    number = registry.register(outer, record("A", "t:n.T", "u:n.T"), references=[{"name": "n.T", "subject": inner, "version": 1}])
    resolved = registry.read(f"/schemas/ids/{number}", format="resolved")["schema"]
    assert resolved == ('{"type":"record","name":"A","fields":[{"name":"t","type":{"type":"record","name":"T","namespace":"n",'
                        '"fields":[{"name":"x","type":"int"}]}},{"name":"u","type":"n.T"}]}')
