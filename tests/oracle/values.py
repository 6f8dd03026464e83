"""Random data of a schema in Avro's binary encoding, written as the specification says and by nobody's library,
and the one form in which two decoders' JSON is compared."""

import struct

DEPTH = 4
INTS = (0, 1, -1, 63, 64, -65, 2147483647, -2147483648, 16777217)
LONGS = (*INTS, 1 << 40, -(1 << 62), (1 << 63) - 1, -(1 << 63), 9007199254740993)
REALS = (0.0, 1.5, -2.25, 1e30, 0.1, 3.4e38, 1e-40)  # no -0.0: Java's JSON says 0.0 for a float's
TEXTS = ("", "a", "é ☃", "quote \" slash \\ \n", "x" * 70)


def zigzag(number):
    number = (number << 1) ^ (number >> 63)
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7f:
        out.append(number & 0x7f | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def sized(data):
    return zigzag(len(data)) + data


def blocks(rng, items):
    """An array's or map's items, in one or two blocks, with or without their size in bytes."""
    out = b""
    cut = rng.randint(0, len(items))
    for block in (items[:cut], items[cut:]):
        if block:
            body = b"".join(block)
            out += zigzag(-len(block)) + zigzag(len(body)) + body if rng.random() < 0.3 else zigzag(len(block)) + body
    return out + b"\0"


def encoded(rng, schema, at, depth=0):
    """One random value of the type, encoded; None where it would have to go too deep."""
    at = schema.resolved(at)
    kind = at["kind"]
    if depth > 12:
        return None
    if kind == "record":
        return joined(encoded(rng, schema, field["type"], depth + 1) for field in at["fields"])
    if kind == "union":
        order = rng.sample(range(len(at["branches"])), len(at["branches"]))
        if depth > DEPTH:  # towards an end
            order.sort(key=lambda number: at["branches"][number].get("kind") != "null")
        for number in order:
            value = encoded(rng, schema, at["branches"][number], depth + 1)
            if value is not None:
                return zigzag(number) + value
        return None
    if kind in ("array", "map"):
        count = rng.randint(0, 2) if depth < DEPTH else 0
        items = [encoded(rng, schema, at["items"], depth + 1) for _ in range(count)]
        if None in items:
            items = []
        if kind == "map":
            items = [sized(f"k{number}".encode()) + item for number, item in enumerate(items)]
        return blocks(rng, items)
    return scalar(rng, at)


def scalar(rng, at):
    kind = at["kind"]
    if kind == "null":
        return b""
    if kind == "boolean":
        return rng.choice((b"\0", b"\1"))
    if kind == "enum":
        return zigzag(rng.randrange(len(at["symbols"])))
    if kind == "fixed":
        return rng.randbytes(at["size"])
    if kind in ("float", "double"):
        return struct.pack("<f" if kind == "float" else "<d", rng.choice(REALS))
    if kind == "bytes":
        return sized(rng.choice((b"", b"abc", "é".encode(), b"\xc3\xa9xyz")))  # text as well: string reads bytes
    if kind == "string":
        return sized(rng.choice(TEXTS).encode())
    return zigzag(rng.choice(INTS if kind == "int" else LONGS))


def joined(parts):
    out = []
    for part in parts:
        if part is None:
            return None
        out.append(part)
    return b"".join(out)


def plain(schema, at, value):
    """A value of strict Avro JSON with its numbers in one form: a float is what 32 bits hold."""
    name, at = at.get("ref"), schema.resolved(at)
    kind = at["kind"]
    if kind == "union":
        return union_plain(schema, at, value)
    if kind == "record":
        fields = {field["name"]: field["type"] for field in at["fields"]}
        if value is None:  # Java's encoder writes nothing at all for records of records without fields
            value = dict.fromkeys(fields)
        assert isinstance(value, dict), (name, value)
        assert value.keys() == fields.keys(), (name, sorted(value), sorted(fields))
        return {key: plain(schema, fields[key], item) for key, item in value.items()}
    if kind == "array":
        return [plain(schema, at["items"], item) for item in value]
    if kind == "map":
        return {key: plain(schema, at["items"], item) for key, item in value.items()}
    if kind in ("float", "double"):
        return struct.pack("<f" if kind == "float" else "<d", float(value)).hex()
    if kind in ("int", "long"):
        assert isinstance(value, int), value
    return value


def union_plain(schema, at, value):
    if value is None:
        assert {"kind": "null"} in [{"kind": one.get("kind")} for one in at["branches"]]
        return None
    assert isinstance(value, dict) and len(value) == 1, value
    (tag, item), = value.items()
    for branch in at["branches"]:
        if branch.get("ref", branch.get("kind")) == tag:
            return {tag: plain(schema, branch, item)}
    raise AssertionError(f"no branch {tag}")
