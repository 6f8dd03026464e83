"""Contexts as an operator sees them, and what a tenant sees of all that: its own, and the built-in types."""

import pytest
from lib.registry import Registry, optional, quoted, record, text, unique
from lib.waiting import until

A = record("A", "x:int")
B = record("A", "x:int", optional("y"))


# --- the operator ---

def test_contexts_are_listed(registry, context):
    name, inside = context
    assert name not in registry.read("/contexts")
    inside.register("s", A)
    assert "." in registry.read("/contexts") and name in registry.read("/contexts")


def test_a_context_is_named_in_the_path_or_in_the_subject(registry, context, stack, operator):
    name, inside = context
    number = inside.register("s", A)
    qualified = f":{name}:s"
    assert registry.versions(qualified) == [1]
    assert registry.read(f"/subjects/{quoted(qualified)}/versions/1")["id"] == number
    assert registry.read(f"/subjects/{quoted(qualified)}/versions/1")["subject"] == qualified
    assert inside.read("/subjects/s/versions/1")["subject"] in ("s", qualified)
    assert registry.register(qualified, B) != number
    assert inside.versions("s") == [1, 2]
    assert Registry(f"{stack.upstream('registry')}/contexts/{name}", auth=operator).versions("s") == [1, 2]
    assert registry.call("GET", "/subjects/s/versions").code == 40401


def test_lists_keep_to_a_context_or_span_all(registry, context):
    name, inside = context
    stem = unique()
    inside.register(stem, A)
    registry.register(stem, A)
    assert f":{name}:{stem}" in registry.read("/subjects")
    for path in ("/subjects?subjectPrefix=", "/subjects?subjectPrefix=:.:"):  # an empty one is the default context
        assert stem in registry.read(path) and f":{name}:{stem}" not in registry.read(path)
    assert f":{name}:{stem}" in registry.read("/subjects", subjectPrefix=":*:")
    assert registry.read("/subjects", subjectPrefix=f":{name}:") == [f":{name}:{stem}"]
    assert inside.read("/subjects") in ([f":{name}:{stem}"], [stem])
    assert f":{name}:{stem}" not in registry.read("/subjects", subjectPrefix=stem)


def test_one_id_per_context_and_schema(registry, context):
    _, inside = context
    schema = record("Only", f"{unique('f').replace('-', '_')}:int")
    outside_id, inside_id = registry.register(unique(), schema), inside.register("s", schema)
    assert outside_id != inside_id
    assert inside.register("t", schema) == inside_id
    assert inside.read(f"/schemas/ids/{inside_id}")["schema"] == text(schema)


def test_the_default_context_stands_behind_an_id(registry, context):
    _, inside = context
    number = registry.register(unique(), record("Behind", "x:int"))
    assert inside.read(f"/schemas/ids/{number}")["schema"] == text(record("Behind", "x:int"))


def test_references_across_contexts(registry, context):
    name, inside = context
    stem = unique()
    registry.register(stem, record("n.T", "x:int"))
    referring = {"schema": text(record("R", "t:n.T")), "references": [{"name": "n.T", "subject": f":.:{stem}", "version": 1}]}
    answer = inside.call("POST", "/subjects/s/versions", referring)
    assert answer.status == 200, answer
    assert registry.read(f"/subjects/{stem}/versions/1/referencedby") == [answer.json["id"]]
    assert registry.call("DELETE", f"/subjects/{stem}").code == 42206
    assert name in registry.read("/contexts")


def test_a_context_that_is_none(registry):
    for path in ("/contexts/:.a b:/subjects", "/contexts/::/subjects", "/subjects/:.a:b:c:d/versions"):
        assert registry.call("GET", path).status in (200, 404, 422), path
    answer = registry.call("POST", f"/subjects/{quoted(':.' + 'x' * 400 + ':s')}/versions", {"schema": '"int"'})
    assert answer.status == 422, answer


# --- tenants ---

def test_a_tenant_sees_its_context_as_the_whole_registry(own, registry, tenant):
    name = unique()
    number = own.register(name, A)
    assert own.read("/contexts") == ["."]
    assert own.read(f"/subjects/{name}/versions/1").items() >= {"subject": name, "version": 1, "id": number}.items()
    assert own.versions(f":.:{name}") == [1]
    assert own.read(f"/schemas/ids/{number}/subjects") == [name]
    assert own.read(f"/schemas/ids/{number}/versions") == [{"subject": name, "version": 1}]
    assert name in own.read("/subjects")
    assert [(one["subject"], one["id"]) for one in own.read("/schemas", subjectPrefix=name)] == [(name, number)]
    assert registry.read("/subjects", subjectPrefix=f":.{tenant.id}:") == [f":.{tenant.id}:{name}"]


def test_a_tenant_sees_nothing_of_another(own, others, other):
    secret = record("Secret", f"{unique('f').replace('-', '_')}:int")
    number = others.register("theirs", secret)
    guid = others.read("/subjects/theirs/versions/1").get("guid")
    assert own.call("GET", f"/schemas/ids/{number}").code == 40403
    assert own.call("GET", f"/schemas/ids/{number}/schema").code == 40403
    assert own.call("GET", f"/schemas/ids/{number}/subjects").code == 40403
    assert own.call("GET", f"/schemas/ids/{number}/versions").code == 40403
    assert own.call("GET", f"/schemas/guids/{guid}").code == 40403
    missing = own.call("GET", f"/schemas/guids/{guid}/ids")
    assert missing.status == 404 or missing.json == [], missing
    assert own.call("GET", "/subjects/theirs/versions").code == 40401
    assert "theirs" not in own.read("/subjects", subjectPrefix=":*:") + own.read("/subjects", deleted="true")
    assert number not in [one["id"] for one in own.read("/schemas", subjectPrefix=":*:")]
    for subject in (f":.{other.id}:theirs", f":.{other.id}:", ":.nobody:theirs"):
        for method, path, body in (("GET", "versions", None), ("GET", "versions/1", None), ("POST", "versions", {"schema": '"int"'}),
                                   ("DELETE", "", None)):
            answer = own.call(method, f"/subjects/{quoted(subject)}/{path}".rstrip("/"), body)
            assert (answer.status, answer.code) == (422, 42211), (method, subject, path, answer)
        assert own.call("PUT", f"/config/{quoted(subject)}", {"compatibility": "NONE"}).code == 42211
        assert own.call("PUT", f"/mode/{quoted(subject)}", {"mode": "READONLY"}).code == 42211
        refers = {"schema": text(record("R", "t:Secret")), "references": [{"name": "Secret", "subject": subject, "version": 1}]}
        answer = own.call("POST", "/subjects/mine/versions", refers)
        assert answer.code in (42211, 42201) and answer.status == 422, answer
    assert own.call("GET", f"/contexts/:.{other.id}:/subjects").status in (404, 422)
    assert others.versions("theirs") == [1]


def test_refusals_do_not_tell_whether_something_is_there(own, others):
    """Another tenant's id and one that nobody has are refused in the same words."""
    number = others.register("theirs", record("Secret", "x:int"))
    there, nowhere = (own.call("GET", f"/schemas/ids/{one}") for one in (number, 2147483647))
    assert there.text.replace(str(number), "N") == nowhere.text.replace("2147483647", "N")
    assert there.headers.keys() == nowhere.headers.keys()


def test_a_tenant_cannot_import_what_another_has(own, others):
    number = others.register("theirs", A)
    assert own.call("PUT", "/mode/s", {"mode": "IMPORT"}).status == 200
    taken = own.call("POST", "/subjects/s/versions", {"schema": text(B), "id": number, "version": 1})
    assert taken.status == 422 and taken.code == 42205, taken
    assert others.read(f"/schemas/ids/{number}")["schema"] == text(A)


def test_built_in_types_are_there_to_read(own):
    assert "order-value" in own.read("/subjects")
    order = own.read("/subjects/order-value/versions/latest")
    assert own.read(f"/schemas/ids/{order['id']}")["schema"] == order["schema"]
    assert own.call("POST", "/subjects/order-value", {"schema": order["schema"]}).json["id"] == order["id"]
    for method, path, body in (("POST", "/subjects/order-value/versions", {"schema": '"int"'}),
                               ("DELETE", "/subjects/order-value", None), ("DELETE", "/subjects/order-value/versions/1", None),
                               ("PUT", "/config/order-value", {"compatibility": "NONE"}),
                               ("PUT", "/mode/order-value", {"mode": "READONLY"})):
        answer = own.call(method, path, body)
        assert answer.status in (403, 422) and answer.code in (40301, 42205), (method, path, answer)
    assert own.read("/subjects/order-value/versions/latest") == order


def test_a_tenants_configuration_is_its_own(own, others, registry):
    before = registry.read("/config")
    assert own.call("PUT", "/config", {"compatibility": "NONE"}).status == 200
    assert own.read("/config")["compatibilityLevel"] == "NONE"
    assert others.read("/config")["compatibilityLevel"] == before["compatibilityLevel"]
    assert own.call("PUT", "/mode", {"mode": "READONLY"}).status == 200
    assert own.call("POST", "/subjects/s/versions", {"schema": '"int"'}).code == 42205
    assert others.call("POST", "/subjects/s/versions", {"schema": '"int"'}).status == 200
    assert registry.read("/config") == before and registry.read("/mode") == {"mode": "READWRITE"}


@pytest.mark.parametrize("how", ["basic", "bearer", "header"])
def test_ways_to_authenticate_through_the_gateway(stack, tenant, how):
    base = f"{stack.url}/v2/registry"
    client = {"basic": Registry(base, auth=("x", tenant.key)),
              "bearer": Registry(base, headers={"Authorization": f"Bearer {tenant.key}"}),
              "header": Registry(base, headers={"X-API-Key": tenant.key})}[how]
    assert client.read("/schemas/types") == ["AVRO"]


def test_a_key_without_the_scope_is_refused(stack, tenant):
    key = tenant.make_key("ingest,read")
    answer = Registry(f"{stack.url}/v2/registry", auth=("x", key)).call("GET", "/subjects")
    assert answer.status == 403, answer
    answer = Registry(f"{stack.url}/v2/registry", auth=("x", "tg_wrong")).call("GET", "/subjects")
    assert answer.status == 401, answer


def test_the_inner_header_cannot_be_forged(stack, tenant, own, other, others):
    others.register("theirs", A)
    forged = Registry(f"{stack.url}/v2/registry", auth=("x", tenant.key), headers={"X-Tidegate-Tenant": other.id})
    assert forged.call("GET", "/subjects/theirs/versions").code == 40401
    direct = Registry(stack.upstream("registry"), headers={"X-Tidegate-Tenant": other.id})
    assert direct.call("GET", "/subjects").status in (401, 403)
    assert own.read("/contexts") == ["."]


def test_a_registered_event_type_works_at_once(own, tenant):
    """Its records are read back by the schema's id."""
    own.register("visit-value", record("Visit", {"name": "who", "type": "string", "role": "user"},
                                       {"name": "page", "type": "string", "role": "entity"},
                                       {"name": "n", "type": "int", "default": 1}))
    until(lambda: tenant.api.post("visit", {"who": "u", "page": "/"}).status_code == 202, 2, "the type is known", every=0.05)
    assert tenant.wait_for(1)[0].type == "visit"
