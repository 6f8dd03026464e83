"""What people do to schemas: each function changes one thing, or returns False where it cannot."""

import schemas

PROMOTIONS = {"int": ("long", "float", "double"), "long": ("float", "double", "int"), "float": ("double", "int"),
              "double": ("float",), "string": ("bytes",), "bytes": ("string",)}


def pick(rng, found):
    return rng.choice(found) if found else None


def renamed(schema, old, new):
    """The type `old` is called `new` from now on, everywhere."""
    if not schema.is_free(new):
        return False
    for holder, key in schema.places():
        if holder[key].get("ref") == old:
            holder[key] = {"ref": new}
    schema.types[new] = schema.types.pop(old)
    for definition in schema.types.values():  # those that the root does not reach are never written
        for field in definition.get("fields", ()):
            if field["type"].get("ref") == old:
                field["type"] = {"ref": new}
    return True


def rename_type(rng, schema):
    names = sorted({holder[key]["ref"] for holder, key in schema.places() if "ref" in holder[key]})
    old = pick(rng, names)
    if old is None:
        return False
    space, _, name = old.rpartition(".")
    how = rng.random()
    if how < 0.4:  # to another namespace
        new = ".".join(filter(None, (rng.choice(schemas.SPACES), name)))
    else:
        new = ".".join(filter(None, (space, rng.choice(schemas.NAMES))))
    if new == old or not renamed(schema, old, new):
        return False
    if rng.random() < 0.5:
        alias = old if rng.random() < 0.6 else name
        schema.types[new]["aliases"] = [alias]
    return True


def alias_type(rng, schema):
    at = pick(rng, schema.reached("record", "enum", "fixed"))
    if at is None:
        return False
    at["aliases"] = [rng.choice(schemas.NAMES), rng.choice(schemas.NAMES) + "1"]
    return True


def add_field(rng, schema):
    at = pick(rng, schema.reached("record"))
    free = at and [name for name in (*schemas.FIELDS, "g", "h") if name not in [f["name"] for f in at["fields"]]]
    if not free:
        return False
    field = schema.new_field(rng.choice(free), 1, default=rng.random() < 0.6)
    at["fields"].insert(rng.randint(0, len(at["fields"])), field)
    return True


def remove_field(rng, schema):
    at = pick(rng, [one for one in schema.reached("record") if one["fields"]])
    if at is None:
        return False
    at["fields"].pop(rng.randrange(len(at["fields"])))
    return True


def rename_field(rng, schema):
    at = pick(rng, [one for one in schema.reached("record") if one["fields"]])
    if at is None:
        return False
    field = rng.choice(at["fields"])
    old, new = field["name"], rng.choice(("p", "q", *schemas.FIELDS))
    if new in [one["name"] for one in at["fields"]]:
        return False
    field["name"] = new
    if rng.random() < 0.6:
        field["aliases"] = [old] if rng.random() < 0.7 else ["w", old]
    return True


def alias_field(rng, schema):
    """An alias that may be another field's name, or two fields' alias."""
    at = pick(rng, [one for one in schema.reached("record") if one["fields"]])
    if at is None:
        return False
    for field in rng.sample(at["fields"], min(len(at["fields"]), rng.randint(1, 2))):
        field["aliases"] = [rng.choice(("z", *schemas.FIELDS))]
    return True


def reorder_fields(rng, schema):
    at = pick(rng, [one for one in schema.reached("record") if len(one["fields"]) > 1])
    if at is None:
        return False
    rng.shuffle(at["fields"])
    return True


def toggle_default(rng, schema):
    fields = [field for at in schema.reached("record") for field in at["fields"]]
    field = pick(rng, fields)
    if field is None:
        return False
    if field.pop("default", schemas.NO_DEFAULT) is schemas.NO_DEFAULT:
        schema.give_default(field)
    return "default" in field or rng.random() < 0.5


def promote(rng, schema):
    found = [(holder, key) for holder, key in schema.places() if holder[key].get("kind") in PROMOTIONS]
    place = pick(rng, found)
    if place is None:
        return False
    holder, key = place
    return put(schema, holder, key, {"kind": rng.choice(PROMOTIONS[holder[key]["kind"]])})


def replace(rng, schema):
    holder, key = rng.choice(schema.places())
    return put(schema, holder, key, schema.any_type(1))


def put(schema, holder, key, made):
    """Replaces a type; in a union only by what may stand there."""
    if isinstance(holder, list):
        others = [schemas.branch_key(one) for number, one in enumerate(holder) if number != key]
        if made.get("kind") == "union" or schemas.branch_key(made) in others:
            return False
    holder[key] = made
    return True


def wrap(rng, schema):
    """A type becomes a union of it and others."""
    found = [(holder, key) for holder, key in schema.places()
             if not isinstance(holder, list) and holder[key].get("kind") != "union"]
    place = pick(rng, found)
    if place is None:
        return False
    holder, key = place
    branches = [holder[key]]
    schema.add_branch(branches, {"kind": "null"} if rng.random() < 0.6 else schema.primitive(),
                      front=rng.random() < 0.5)
    holder[key] = {"kind": "union", "branches": branches}
    return True


def unwrap(rng, schema):
    found = [(holder, key) for holder, key in schema.places() if holder[key].get("kind") == "union"
             and holder[key]["branches"]]
    place = pick(rng, found)
    if place is None:
        return False
    holder, key = place
    return put(schema, holder, key, rng.choice(holder[key]["branches"]))


def change_union(rng, schema):
    at = pick(rng, schema.reached("union"))
    if at is None:
        return False
    branches = at["branches"]
    how = rng.random()
    if how < 0.45:
        before = len(branches)
        schema.add_branch(branches, schema.any_type(1), front=rng.random() < 0.3)
        return len(branches) > before
    if how < 0.75 and len(branches) > 1:
        branches.pop(rng.randrange(len(branches)))
        return True
    rng.shuffle(branches)
    return len(branches) > 1


def change_enum(rng, schema):
    at = pick(rng, schema.reached("enum"))
    if at is None:
        return False
    how = rng.random()
    missing = [symbol for symbol in (*schemas.SYMBOLS, "F") if symbol not in at["symbols"]]
    if how < 0.35 and missing:
        at["symbols"].insert(rng.randint(0, len(at["symbols"])), rng.choice(missing))
    elif how < 0.6 and len(at["symbols"]) > 1:
        gone = at["symbols"].pop(rng.randrange(len(at["symbols"])))
        if at.get("default") == gone:
            del at["default"]
    elif how < 0.8:
        if at.pop("default", None) is None:
            at["default"] = rng.choice(at["symbols"])
    else:
        rng.shuffle(at["symbols"])
    return True


def change_fixed(rng, schema):
    at = pick(rng, schema.reached("fixed"))
    if at is None:
        return False
    at["size"] = rng.choice((1, 2, 4, 12, 16))
    return True


def swap_container(rng, schema):
    at = pick(rng, schema.reached("array", "map"))
    if at is None:
        return False
    at["kind"] = "map" if at["kind"] == "array" else "array"
    return True


def change_note(rng, schema):
    """What has no say in compatibility: docs, order, logical types, custom attributes."""
    at = pick(rng, schema.reached("record", "int", "long", "string", "bytes"))
    if at is None:
        return False
    if at["kind"] == "record":
        at["doc"] = rng.choice(("another", ""))
        for field in at["fields"]:
            field["order"] = "descending"
    elif at.pop("props", None) is None:
        at["props"] = schemas.logical(rng, at["kind"])
    return True


KINDS = (rename_type, alias_type, add_field, add_field, remove_field, rename_field, alias_field, reorder_fields,
         toggle_default, promote, promote, replace, wrap, unwrap, change_union, change_union, change_enum,
         change_enum, change_fixed, swap_container, change_note)


def changed(rng, schema):
    """A copy of `schema` with one to three changes, and their names."""
    twin = schema.copy(rng)
    names = []
    wanted = rng.choice((1, 1, 1, 2, 3))
    for _ in range(60):
        change = rng.choice(KINDS)
        if change(rng, twin):
            names.append(change.__name__)
            if len(names) == wanted:
                break
    twin.refresh_defaults()
    return twin, names
