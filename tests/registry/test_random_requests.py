"""Random and broken requests: never an answer of 500, never a dead process, and what was there stays as it was."""

import json
import random

from lib.registry import Registry, optional, quoted, record, text, unique

ROUNDS = 300
METHODS = ("GET", "POST", "PUT", "DELETE")
PARTS = ("subjects", "versions", "schemas", "ids", "guids", "config", "mode", "compatibility", "contexts", "referencedby",
         "metadata", "schema", "types", "latest", "-1", "0", "1", "2147483648", ":.c:", ":.", "::", ":*:", "%2F", "%00", "%", "..",
         "é", "x" * 300, "a b", "00000000-0000-0000-0000-000000000000", "")
ROUTES = ("/subjects/{}", "/subjects/{}/versions", "/subjects/{}/versions/{}", "/subjects/{}/versions/{}/schema",
          "/subjects/{}/versions/{}/referencedby", "/subjects/{}/metadata", "/schemas/ids/{}", "/schemas/ids/{}/versions",
          "/schemas/guids/{}", "/config/{}", "/mode/{}", "/compatibility/subjects/{}/versions/{}",
          "/compatibility/subjects/{}/versions", "/contexts/{}/subjects", "/contexts/{}/subjects/{}/versions")
QUERY = ("deleted", "deletedOnly", "permanent", "normalize", "subjectPrefix", "offset", "limit", "latestOnly", "verbose", "subject",
         "fetchMaxId", "format", "defaultToGlobal", "force", "recursive", "key", "value", "deletedAsNegative")
VALUES = ("true", "", "-1", "9" * 30, "é", "%ff", ":*:", "%00", "x" * 2000, "resolved", "original", "&&=")
SCHEMA = text(record("R", "a:int", optional("b")))
BODIES = ({"schema": SCHEMA}, {"schema": SCHEMA, "references": [{"name": "n.T", "subject": "t", "version": 1}]},
          {"compatibility": "FULL", "alias": "x", "normalize": True}, {"mode": "READONLY"},
          {"schema": SCHEMA, "id": 5, "version": 1, "metadata": {"properties": {"a": "b"}, "tags": {"x": ["y"]}}})


def mutated(rng, body):
    """The JSON of `body` with something broken in it."""
    data = bytearray(json.dumps(body).encode())
    for _ in range(rng.randint(0, 3)):
        at = rng.randrange(len(data))
        how = rng.random()
        if how < 0.4:
            data[at] = rng.randrange(256)
        elif how < 0.7:
            del data[at:at + rng.randint(1, 5)]
        else:
            data[at:at] = rng.choice((b'"', b"{", b"[", b"null", b"\\u0000", b"\\ud800", b"1e999", b"-0", b'":', b"\xff")) * rng.randint(1, 3)
        if not data:
            break
    return bytes(data)


def one_request(rng, stem):
    if rng.random() < 0.7:
        path = rng.choice(ROUTES)
        while "{}" in path:
            path = path.replace("{}", rng.choice((stem, stem, *PARTS)), 1)
    else:
        path = "/" + "/".join(rng.choice((*PARTS, stem)) for _ in range(rng.randint(0, 6)))
    query = "&".join(f"{rng.choice(QUERY)}={rng.choice(VALUES)}" for _ in range(rng.choice((0, 0, 1, 2, 3))))
    return rng.choice(METHODS), path.replace(" ", "%20") + ("?" + query if query else ""), mutated(rng, rng.choice(BODIES))


def test_random_requests(context, seed, stack):
    """In a context of their own, so that what they configure by chance is nobody's."""
    _, registry = context
    rng, pid = random.Random(seed), stack.pid("registry")
    kept = registry.register("kept", SCHEMA)
    for number in range(ROUNDS):
        method, path, body = one_request(rng, unique() if rng.random() < 0.2 else "kept" if rng.random() < 0.3 else "stem")
        if "kept" in path and method != "GET" or path.startswith(("/mode?", "/config?")):
            continue
        response = registry.session.request(method, registry.base + path, data=body if method != "GET" else None, timeout=30,
                                            headers={"Content-Type": "application/json"})
        assert response.status_code in (200, 400, 401, 403, 404, 405, 409, 413, 414, 422, 431), (
            number, method, path, body, response.status_code, response.text)
    assert stack.pid("registry") == pid
    assert registry.read(f"/schemas/ids/{kept}")["schema"] == SCHEMA
    assert registry.versions("kept") == [1]


def test_percent_encoded_slashes_stay_one_name(registry):
    name = f"{unique()}/versions/1"
    registry.register(name, SCHEMA)
    assert registry.read(f"/subjects/{quoted(name)}/versions/1")["subject"] == name
    assert registry.call("GET", f"/subjects/{name}").status in (404, 405)


def test_a_tenants_random_requests_stay_within_its_context(own, others, seed, stack, registry):
    """Whatever a tenant sends, another tenant's state and the registry's own stay as they are."""
    others.register("theirs", SCHEMA)

    def rest():
        return (others.read("/subjects"), others.read("/config"), others.read("/mode"), others.read("/subjects/theirs/versions/1"),
                registry.read("/config"), registry.read("/mode"), registry.read("/subjects", subjectPrefix=":.:"))
    before, rng = rest(), random.Random(seed)
    client = Registry(own.base, auth=own.session.auth)
    for _ in range(ROUNDS // 2):
        method, path, body = one_request(rng, "theirs")
        client.session.request(method, client.base + path, data=body if method != "GET" else None, timeout=30,
                               headers={"Content-Type": "application/json"})
    assert rest() == before
    assert stack.pid("registry")
