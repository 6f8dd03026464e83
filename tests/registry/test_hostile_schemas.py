"""Schemas made to hurt: each bound refused with its reason, a legal schema just inside it taken, memory flat."""

import base64
import json
import socket

import pytest
from lib.registry import record, text, unique
from lib.waiting import holds

LIMIT = 256 * 1024


def nested(depth):
    return '{"type":"array","items":' * depth + '"int"' + "}" * depth


def fields(count, kind="int"):
    return [{"name": f"f{number}", "type": kind} for number in range(count)]


def padded(size):
    """A schema of exactly `size` bytes."""
    start = '{"type":"record","name":"R","fields":[],"doc":"'
    return start + "d" * (size - len(start) - 2) + '"}'


def fans(levels):
    """Small as text, 2^levels values if anybody unfolds it."""
    at = record("L0", "x:int")
    for level in range(1, levels + 1):
        at = record(f"L{level}", {"name": "a", "type": at}, {"name": "b", "type": f"L{level - 1}"})
    return at


REFUSED = {
    "larger than 256 KiB": padded(LIMIT + 1),
    "deeper than 64": nested(65),
    "very much deeper": nested(9000),
    "more than 10,000 names": {"type": "enum", "name": "E", "symbols": [f"S{number}" for number in range(10001)]},
    "a fixed of no bytes": {"type": "fixed", "name": "F", "size": 0},
    "a fixed of more than 1 MiB": {"type": "fixed", "name": "F", "size": (1 << 20) + 1},
    "a fixed of many digits": '{"type":"fixed","name":"F","size":99999999999999999999}',
    "a fixed of a broken size": '{"type":"fixed","name":"F","size":1.5}',
    "a record that holds itself": record("R", {"name": "r", "type": "R"}),
    "two records that hold each other": record("R", {"name": "s", "type": record("S", {"name": "r", "type": "R"})}),
    "a union of nothing but itself": record("R", {"name": "r", "type": ["R"]}),
    "a field twice": record("R", "a:int", "a:int"),
    "a symbol twice": {"type": "enum", "name": "E", "symbols": ["A", "A"]},
    "a branch twice": ["int", "string", "int"],
    "two arrays in a union": [{"type": "array", "items": "int"}, {"type": "array", "items": "string"}],
    "a union in a union": ["int", ["null"]],
    "a name twice": record("R", {"name": "a", "type": record("S")}, {"name": "b", "type": record("S", "x:int")}),
    "a default of the wrong type": record("R", {"name": "a", "type": "int", "default": "x"}),
    "a default too large": record("R", {"name": "a", "type": "int", "default": 2147483648}),
    "a default that is no symbol": record("R", {"name": "a", "type": {"type": "enum", "name": "E", "symbols": ["A"]}, "default": "B"}),
    "a default of the wrong length": record("R", {"name": "a", "type": {"type": "fixed", "name": "F", "size": 2}, "default": "abc"}),
    "an enum default that is no symbol": {"type": "enum", "name": "E", "symbols": ["A"], "default": "B"},
    "a name with a space": record("a b"),
    "a name that starts with a digit": record("1a"),
    "an empty name": record(""),
    "a namespace with two dots": record("R", namespace="a..b"),
    "a symbol with a hyphen": {"type": "enum", "name": "E", "symbols": ["a-b"]},
    "a member twice": '{"type":"record","name":"R","name":"S","fields":[]}',
    "text after the schema": '"int" "int"',
    "a string cut short": '{"type":"record","name":"R',
    "a lone surrogate": '{"type":"record","name":"R","doc":"\\ud800","fields":[]}',
    "a byte that is no JSON": '{"type":"record","name":"R","doc":"\x01","fields":[]}',
    "NaN": '{"type":"record","name":"R","fields":[{"name":"a","type":"double","default":NaN}]}',
    "an unknown type": '{"type":"record","name":"R","fields":[{"name":"a","type":"strng"}]}',
}
TAKEN = {
    "64 deep": nested(63),
    "almost 256 KiB": padded(LIMIT),
    "many names": {"type": "enum", "name": "E", "symbols": [f"S{number}" for number in range(9000)]},
    "many fields": record("R", *fields(3000)),
    "a fixed of 1 MiB": {"type": "fixed", "name": "F", "size": 1 << 20},
    "a list of itself": record("R", {"name": "next", "type": ["null", "R"]}),
    "a tree of itself": record("R", {"name": "children", "type": {"type": "array", "items": "R"}}),
    "a fan": fans(25),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(registry, kind):
    schema = REFUSED[kind]
    given = schema if isinstance(schema, str) else json.dumps(schema)
    name = unique()
    answer = registry.call("POST", f"/subjects/{name}/versions", {"schema": given})
    assert (answer.status, answer.code) in ((422, 42201), (413, 413)), (kind, answer)
    assert 10 < len(answer.json["message"]) < 2000, answer
    assert registry.call("POST", f"/subjects/{name}", {"schema": given}).status in (404, 413, 422)
    assert registry.call("POST", f"/compatibility/subjects/{name}/versions/latest", {"schema": given}).code in (413, 42201)
    assert registry.call("GET", f"/subjects/{name}/versions").code == 40401


@pytest.mark.parametrize("kind", TAKEN)
def test_taken(registry, kind):
    name = unique()
    number = registry.register(name, TAKEN[kind])
    assert json.loads(registry.read(f"/schemas/ids/{number}")["schema"]) == json.loads(text(TAKEN[kind]))
    asked = registry.call("POST", f"/compatibility/subjects/{name}/versions/latest", {"schema": text(TAKEN[kind])})
    assert asked.json == {"is_compatible": True}, asked


@pytest.mark.parametrize("kind,named", [
    ("an unknown type", ("strng", "fields")), ("a default of the wrong type", ("default", "a")), ("a field twice", ("a",)),
    ("a string cut short", ("line", "column")), ("a fixed of more than 1 MiB", ("1048576",)), ("deeper than 64", ("64",)),
    ("a record that holds itself", ("R",)), ("larger than 256 KiB", ("262144",))])
def test_the_refusal_names_position_and_reason(registry, kind, named):
    schema = REFUSED[kind]
    answer = registry.call("POST", f"/subjects/{unique()}/versions",
                           {"schema": schema if isinstance(schema, str) else json.dumps(schema)})
    for word in named:
        assert word in answer.json["message"], answer


def test_pairs_that_could_take_forever_to_compare(registry):
    """Both fan out; memoised by pair it is linear."""
    name = unique()
    registry.register(name, fans(25))
    changed = text(fans(25)).replace('{"name":"x","type":"int"}', '{"name":"x","type":"long"}')
    answer = registry.call("POST", f"/compatibility/subjects/{name}/versions/latest", {"schema": changed}, verbose="true")
    assert answer.json["is_compatible"] is True, answer
    broken = text(fans(25)).replace('{"name":"x","type":"int"}', '{"name":"x","type":"string"}')
    answer = registry.call("POST", f"/compatibility/subjects/{name}/versions/latest", {"schema": broken}, verbose="true")
    assert answer.json["is_compatible"] is False and len(answer.text) < 100_000, answer


def test_many_incompatibilities_make_a_bounded_answer(registry):
    name = unique()
    registry.register(name, record("R", *fields(2000)))
    answer = registry.call("POST", f"/compatibility/subjects/{name}/versions/latest",
                           {"schema": text(record("R", *fields(2000, "string")))}, verbose="true")
    assert answer.json["is_compatible"] is False and len(answer.text) < 1_000_000, len(answer.text)


def test_chains_of_references_are_bounded(registry):
    """Each schema refers to the one before; somewhere that ends with a reason, and nothing hangs."""
    stem = unique()
    registry.register(f"{stem}-0", record("n.T0", "x:int"))
    for number in range(1, 80):
        body = {"schema": text(record(f"n.T{number}", f"t:n.T{number - 1}")),
                "references": [{"name": f"n.T{number - 1}", "subject": f"{stem}-{number - 1}", "version": 1}]}
        answer = registry.call("POST", f"/subjects/{stem}-{number}/versions", body)
        if answer.status != 200:
            assert answer.code == 42201, answer
            return
    raise AssertionError("80 references deep")


def resident(stack):
    """Of the registry, in KiB."""
    with open(f"/proc/{stack.pid('registry')}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def test_memory_stays_flat(registry, stack):
    """After some rounds of everything hostile, further rounds cost nothing that stays."""
    def one_round():
        name = unique()
        for kind in ("larger than 256 KiB", "very much deeper", "more than 10,000 names", "a record that holds itself"):
            schema = REFUSED[kind]
            registry.call("POST", f"/subjects/{name}/versions", {"schema": schema if isinstance(schema, str) else json.dumps(schema)})
        many = text(record(name.replace("-", "_"), *fields(3000)))
        registry.register(name, many)
        registry.call("POST", f"/compatibility/subjects/{name}/versions/latest", {"schema": many.replace("int", "long")})
    for _ in range(15):  # until the caches of texts and of schemas have all that they may hold
        one_round()
    before = resident(stack)
    for _ in range(15):
        one_round()
    assert resident(stack) - before < 4 * 1024, (before, resident(stack))


def test_clients_that_do_not_read_long_lists_cost_a_bounded_amount_of_memory(stack, operator, context):
    """Fifty ask for 16 MiB each and read nothing; whoever asks for something else is answered."""
    name, registry = context
    for number in range(64):
        registry.register(f"s{number}", padded(LIMIT).replace('"R"', f'"R{number:02}"').replace("dd", "", 1))
    before, host = resident(stack), registry.base.split("/")[2]
    token = base64.b64encode(":".join(operator).encode()).decode()
    asked = f"GET /contexts/:{name}:/schemas HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {token}\r\n\r\n".encode()
    readers = []
    try:
        for _ in range(50):
            readers.append(socket.create_connection(tuple(host.split(":"))))
            readers[-1].sendall(asked)
        holds(lambda: registry.read("/subjects/s1/versions") == [1] and resident(stack) - before < 250 * 1024, 1,
              "others are answered, and memory stays within bounds", every=0.05)
    finally:
        for reader in readers:
            reader.close()
