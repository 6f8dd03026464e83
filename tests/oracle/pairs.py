"""Pairs of schemas by seed, with what is asked about them and how two answers are compared."""

import dataclasses
import random

import changes
import schemas
import values

DATA = 3  # values for each pair

# The exceptions: where Java itself fails. Each is a text in its error and the reason.
JAVA_CANNOT_PARSE = {
    "Schema fields not set yet": "it checks a default that holds the record which is just being read",
    "Undefined schema": "it does not find a record without a namespace from within one while that is just being read",
}
JAVA_CANNOT_READ = {
    "Invalid default for field": "it renames the writer's fields after the reader's aliases, and then the writer's own"
                                 " defaults do not fit them",
    "AvroTypeException: Found ": "it renames every type that has the name of an alias, of whatever kind it is",
    "Duplicate in union": "the same, where a union then has two branches of one name",
    "Not an array: [": "it takes a default of a union's first branch, an array, for one of the union",
}


@dataclasses.dataclass
class Pair:
    seed: int
    reader: schemas.Schema
    writer: schemas.Schema
    reader_text: str
    writer_text: str
    data: list
    changes: list


def make(seed):
    rng = random.Random(seed)
    while True:
        first = schemas.Schema.random(rng)
        if rng.random() < 0.05:
            second, names = schemas.Schema.random(rng), ["another"]
        else:
            second, names = changes.changed(rng, first)
        if first.finite() and second.finite():
            break
    reader, writer = (first, second) if rng.random() < 0.5 else (second, first)
    data = [values.encoded(rng, writer, writer.root) for _ in range(DATA)]
    return Pair(seed, reader, writer, reader.text(), writer.text(),
                [value.hex() for value in data if value is not None], names)


def questions(pair):
    both = {"reader": pair.reader_text, "writer": pair.writer_text}
    return [{"op": "schema", "schema": pair.reader_text}, {"op": "schema", "schema": pair.writer_text},
            {"op": "compat", **both}, {"op": "resolve", **both, "data": pair.data}]


def differences(pair, java, ours):
    """What Java's and our answers to questions(pair) differ in, as text; nothing when they agree."""
    found = []
    for side, theirs, own in zip(("reader", "writer"), java[:2], ours[:2]):
        if excused(JAVA_CANNOT_PARSE, theirs):
            continue
        if theirs["ok"] != own["ok"]:
            found.append(f"{side} {getattr(pair, side + '_text')}: Java says {theirs}, we say {own}")
        elif theirs["ok"]:
            found += [f"{side} {getattr(pair, side + '_text')}: {part}:\n    Java {theirs[part]}\n    ours {own[part]}"
                      for part in ("text", "canonical", "crc64", "md5", "sha256") if theirs[part] != own.get(part)]
    if found or not java[0]["ok"] or not java[1]["ok"]:
        return found
    if not same_verdict(java[2], ours[2]):
        return [f"compatible: Java says {java[2]}, we say {ours[2]}"]
    if java[2].get("compatible"):
        found += resolution_differences(pair, java[3], ours[3])
    return found


def same_verdict(java, ours):
    """The verdict and what is incompatible where. Java gives up where two fields have one alias: incompatible. It
    begins a path anew at a union's branch that it has looked into before, so its path is the end of ours."""
    if "matches multiple fields" in java.get("error", ""):
        return ours.get("compatible") is False
    if not java["ok"] or not ours["ok"] or java["compatible"] != ours["compatible"]:
        return False
    ends = lambda path, end: end == "/" or path == end or path.endswith(end)
    return ({one["type"] for one in java["found"]} == {one["type"] for one in ours["found"]} and all(
        any(one["type"] == other["type"] and ends(one["path"], other["path"]) for other in java["found"])
        for one in ours["found"]))


def resolution_differences(pair, java, ours):
    if not ours["ok"]:
        return [f"resolution: Java says {java}, we say {ours}"]
    found = []
    for hexed, theirs, own in zip(pair.data, java["values"], ours["values"], strict=True):
        if "error" in theirs or "error" in own:
            if ("error" in theirs) != ("error" in own) and not excused(JAVA_CANNOT_READ, theirs):
                found.append(f"value {hexed}: Java says {theirs}, we say {own}")
            continue
        if not same(pair, theirs["json"], own["json"]) and not loses_aliases(pair):
            found.append(f"value {hexed}:\n    Java {theirs['json']}\n    ours {own['json']}")
    return found


def loses_aliases(pair):
    """Java's checker matches records by their short names and fields by aliases. Its reader applies a record's field
    aliases only where the full names are the same, and not where another type's alias has renamed the record: it
    reads the default, and the value is lost."""
    records = {name for name, at in pair.writer.types.items() if at["kind"] == "record"}
    aliases = {alias if "." in alias else ".".join(filter(None, (name.rpartition(".")[0], alias)))
               for name, at in pair.reader.types.items() for alias in at.get("aliases", ())}
    return any(at["kind"] == "record" and (name not in records or name in aliases)
               and any("aliases" in field for field in at["fields"]) for name, at in pair.reader.types.items())


def same(pair, theirs, own):
    told = values.plain(pair.reader, pair.reader.root, theirs)
    try:
        return told == values.plain(pair.reader, pair.reader.root, own)
    except (AssertionError, TypeError, AttributeError):  # no value of this schema
        return False


def excused(exceptions, theirs):
    return any(text in theirs.get("error", "") for text in exceptions)


def compare(seeds, java, ours, ask):
    """Asks both about the pairs of `seeds`; (pairs, those that Java calls compatible, the differences)."""
    pairs = [make(seed) for seed in seeds]
    asked = [question for pair in pairs for question in questions(pair)]
    theirs, own = ask(java, asked), ask(ours, asked)
    found, compatible = [], 0
    for number, pair in enumerate(pairs):
        here = slice(4 * number, 4 * number + 4)
        compatible += theirs[here][2].get("compatible", False)
        found += [f"seed {pair.seed} ({', '.join(pair.changes)})\n  reader {pair.reader_text}\n"
                  f"  writer {pair.writer_text}\n  {text}" for text in differences(pair, theirs[here], own[here])]
    return len(pairs), compatible, found
