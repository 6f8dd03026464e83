"""Random Avro schemas and changes to them, the same for the same seed.

A schema is held as a tree in which a named type stands by its full name, with its definition beside the tree:
so a change to a type is one change wherever it is used, and no change leaves a reference without a definition.
text() writes the definition where the name comes first, in one of the spellings that mean the same."""

import copy
import json

PRIMITIVES = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
LOGICAL = {"int": ("date", "time-millis"), "string": ("uuid",), "bytes": ("decimal",),
           "long": ("time-micros", "timestamp-millis", "timestamp-micros", "local-timestamp-millis",
                    "local-timestamp-micros", "no-such-logical-type")}
SYMBOLS = ("A", "B", "C", "D", "E")
FIELDS = ("a", "b", "c", "d", "e", "f")
NAMES = ("R", "S", "T", "U", "V")
SPACES = ("", "", "n", "n.m", "o")


class Schema:
    """`root` and `types`, full name -> definition. A type is {"kind": ...}; a named one {"ref": full name}."""

    def __init__(self, rng):
        self.rng = rng
        self.types = {}
        self.space = rng.choice(SPACES)
        self.root = None

    @staticmethod
    def random(rng):
        schema = Schema(rng)
        schema.root = schema.any_type(3) if rng.random() < 0.2 else schema.new_record(3)
        schema.refresh_defaults()
        return schema

    # --- making ---

    def any_type(self, depth):
        rng = self.rng
        roll = rng.random()
        if depth <= 0 or roll < 0.45:
            return self.primitive()
        if roll < 0.62:
            return self.union(depth - 1)
        if roll < 0.70:
            return {"kind": "array", "items": self.any_type(depth - 1)}
        if roll < 0.77:
            return {"kind": "map", "items": self.any_type(depth - 1)}
        if roll < 0.83:
            return self.new_enum()
        if roll < 0.88:
            return self.new_fixed()
        if roll < 0.92 and self.types:
            return {"ref": rng.choice(sorted(self.types))}
        return self.new_record(depth - 1)

    def primitive(self):
        rng = self.rng
        made = {"kind": rng.choice(PRIMITIVES)}
        if rng.random() < 0.15 and made["kind"] in LOGICAL:
            made["props"] = logical(rng, made["kind"])
        elif rng.random() < 0.05:
            made["props"] = {"note": rng.choice((1, "x", [1, {"k": None}]))}
        return made

    def union(self, depth):
        branches = []
        for _ in range(self.rng.randint(1, 4)):
            self.add_branch(branches, self.primitive() if self.rng.random() < 0.6 else self.any_type(depth))
        if self.rng.random() < 0.6:
            self.add_branch(branches, {"kind": "null"}, front=self.rng.random() < 0.7)
        if not branches:
            branches.append(self.primitive())
        return {"kind": "union", "branches": branches}

    def add_branch(self, branches, branch, front=False):
        """A union holds no union and no two branches of one kind or name."""
        if branch.get("kind") != "union" and branch_key(branch) not in [branch_key(one) for one in branches]:
            branches.insert(0 if front else len(branches), branch)

    def new_name(self):
        rng = self.rng
        space = self.space if rng.random() < 0.8 else rng.choice(SPACES)
        for _ in range(20):
            name = rng.choice(NAMES) + (str(rng.randint(1, 3)) if rng.random() < 0.4 else "")
            full = f"{space}.{name}" if space else name
            if self.is_free(full):
                return full
        return f"{'.'.join(filter(None, (space, 'X')))}{len(self.types)}"

    def is_free(self, full):
        """Not taken, and not the short name of a type without a namespace beside one with: Java 1.12 takes the
        former for the latter where that is still being read."""
        space, _, name = full.rpartition(".")
        return full not in self.types and all(
            other.rpartition(".")[2] != name or bool(other.rpartition(".")[0]) == bool(space) for other in self.types)

    def define(self, definition):
        full = self.new_name()
        self.types[full] = definition
        return {"ref": full}

    def new_enum(self):
        rng = self.rng
        symbols = rng.sample(SYMBOLS, rng.randint(1, 4))
        made = {"kind": "enum", "symbols": symbols}
        if rng.random() < 0.3:
            made["default"] = rng.choice(symbols)
        return self.define(made)

    def new_fixed(self):
        return self.define({"kind": "fixed", "size": self.rng.choice((1, 2, 4, 12, 16))})

    def new_record(self, depth):
        rng = self.rng
        made = {"kind": "record", "fields": []}
        if rng.random() < 0.2:
            made["doc"] = rng.choice(("text", 'a "quoted" one', "Zeile\nzwei", "é ☃"))
        ref = self.define(made)
        for name in rng.sample(FIELDS, rng.randint(0 if rng.random() < 0.1 else 1, 4)):
            made["fields"].append(self.new_field(name, depth))
        if rng.random() < 0.1:  # a list of itself, with an end
            branches = [{"kind": "null"}, dict(ref)]
            made["fields"].append({"name": "next", "type": {"kind": "union", "branches": branches}})
        return ref

    def new_field(self, name, depth, default=None):
        rng = self.rng
        field = {"name": name, "type": self.any_type(depth)}
        if rng.random() < 0.4 if default is None else default:
            self.give_default(field)
        for key, values, share in (("doc", ("a doc", ""), 0.1), ("order", ("ascending", "descending", "ignore"), 0.1),
                                   ("aliases", (["z"], ["y", "x"]), 0.05), ("note", (7, {"k": [True]}), 0.05)):
            if rng.random() < share:
                field[key] = rng.choice(values)
        return field

    def give_default(self, field):
        value = self.default_of(field["type"], 0)
        if value is not NO_DEFAULT:
            field["default"] = value

    def refresh_defaults(self):
        """Makes all defaults anew: the types that they were made for may have changed since."""
        for at in self.reached("record"):
            for field in at["fields"]:
                if "default" in field:
                    del field["default"]
                    self.give_default(field)

    def default_of(self, at, depth):
        """A default of this type as JSON, or NO_DEFAULT (a record in itself has none)."""
        rng, at = self.rng, self.resolved(at)
        kind = at["kind"]
        if kind == "union":
            return self.default_of(at["branches"][0], depth)
        if kind == "array":
            item = self.default_of(at["items"], depth + 1) if depth < 3 else NO_DEFAULT
            return [] if item is NO_DEFAULT or rng.random() < 0.5 else [item]
        if kind == "map":
            item = self.default_of(at["items"], depth + 1) if depth < 3 else NO_DEFAULT
            return {} if item is NO_DEFAULT or rng.random() < 0.5 else {"k": item}
        if kind == "record":
            fields = {field["name"]: self.default_of(field["type"], depth + 1) if depth < 3 else NO_DEFAULT
                      for field in at["fields"]}
            return NO_DEFAULT if NO_DEFAULT in fields.values() else fields
        return rng.choice({
            "null": (None,), "boolean": (True, False), "int": (0, -5, 2147483647), "long": (0, 1 << 40),
            "float": (0, 1.5, -2.25), "double": (0.5, 3, -1e10), "bytes": ("", "\u00ff\u0001"), "string": ("", "x é"),
            "enum": tuple(at.get("symbols", ("A",))), "fixed": ("\u00fe" * at.get("size", 0),)}[kind])

    def resolved(self, at):
        return self.types[at["ref"]] if "ref" in at else at

    # --- reading ---

    def places(self):
        """(holder, key) of every type that the root reaches, the root as (self.__dict__, "root")."""
        found, seen, open_ones = [], set(), [(self.__dict__, "root")]
        while open_ones:
            holder, key = open_ones.pop()
            found.append((holder, key))
            at = holder[key]
            if "ref" in at:
                if at["ref"] in seen:
                    continue
                seen.add(at["ref"])
                at = self.types[at["ref"]]
            open_ones += [(field, "type") for field in at.get("fields", ())]
            open_ones += [(at["branches"], number) for number in range(len(at.get("branches", ())))]
            if "items" in at:
                open_ones.append((at, "items"))
        return found

    def reached(self, *kinds):
        """Definitions and types of these kinds that the root reaches."""
        found = []
        for holder, key in self.places():
            at = self.resolved(holder[key])
            if at["kind"] in kinds and not any(at is one for one in found):
                found.append(at)
        return found

    def finite(self):
        """Whether each type has a value with an end: a record in itself, with no way round, has none."""
        known = {name for name, at in self.types.items() if at["kind"] != "record"}

        def ends(at):
            if "ref" in at:
                return at["ref"] in known
            return any(ends(branch) for branch in at["branches"]) if at["kind"] == "union" else True
        grown = True
        while grown:
            more = {name for name, at in self.types.items()
                    if name not in known and all(ends(field["type"]) for field in at["fields"])}
            known |= more
            grown = bool(more)
        return known == set(self.types)

    def copy(self, rng):
        twin = copy.copy(self)
        twin.types, twin.root = copy.deepcopy((self.types, self.root))
        twin.rng = rng
        return twin

    # --- writing ---

    def text(self):
        spaces = (",", ":") if self.rng.random() < 0.5 else (", ", ": ")
        return json.dumps(self._json(self.root, "", set()), separators=spaces,
                          ensure_ascii=self.rng.random() < 0.5)

    def _json(self, at, space, written):
        kind = at.get("kind")
        if kind is None:
            return self._named(at["ref"], space, written)
        if kind == "union":
            return [self._json(branch, space, written) for branch in at["branches"]]
        if kind in ("array", "map"):
            inside = self._json(at["items"], space, written)
            return shuffled(self.rng, {"type": kind, "items" if kind == "array" else "values": inside})
        if "props" in at:
            return shuffled(self.rng, {"type": kind, **at["props"]})
        return {"type": kind} if self.rng.random() < 0.1 else kind

    def _named(self, full, space, written):
        own, _, name = full.rpartition(".")
        if full in written:
            return name if own == space and self.rng.random() < 0.7 or not own else full
        written.add(full)
        at = self.types[full]
        made = {"type": at["kind"], "name": name}
        if own != space:
            if own and self.rng.random() < 0.5:
                made["name"] = full
            else:
                made["namespace"] = own
        elif own and self.rng.random() < 0.2:
            made["namespace"] = own
        made.update({key: at[key] for key in ("doc", "aliases", "symbols", "default", "size", "note") if key in at})
        if at["kind"] == "record":
            # Fields are written in order, whatever the order of the members: the first use is the definition.
            made["fields"] = [shuffled(self.rng, {**field, "type": self._json(field["type"], own, written)})
                              for field in at["fields"]]
        return shuffled(self.rng, made)


class _NoDefault:
    pass


NO_DEFAULT = _NoDefault()


def branch_key(branch):
    return branch.get("ref") or branch["kind"]


def logical(rng, kind):
    name = rng.choice(LOGICAL[kind])
    return {"logicalType": name, "precision": 9, "scale": 2} if name == "decimal" else {"logicalType": name}


def shuffled(rng, members):
    """The same object with its members in another order, now and then."""
    if rng.random() < 0.8:
        return members
    return dict(rng.sample(list(members.items()), len(members)))
