"""The registry as its clients see it, and tables of questions to it."""

import json
import re
import uuid

import requests

V1 = "application/vnd.schemaregistry.v1+json"


class Answer:
    def __init__(self, response):
        self.status = response.status_code
        self.headers = response.headers
        self.text = response.text
        try:
            self.json = response.json()
        except ValueError:
            self.json = None

    @property
    def code(self):
        return self.json.get("error_code") if isinstance(self.json, dict) else None

    def __repr__(self):
        return f"{self.status} {self.text[:600]}"


class Registry:
    """`base` with the context, if any: http://host:port/contexts/:.c:"""

    def __init__(self, base, auth=None, headers=None):
        self.base = base
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = auth
        self.session.headers.update(headers or {})

    def call(self, method, path, body=None, headers=None, **params):
        """`path` goes out as it is. Every answer is JSON of one media type, and every error says its code."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": V1} if data is not None else {}
        answer = Answer(self.session.request(method, self.base + path, data=data, params=params, timeout=30,
                                             headers={**sent, **(headers or {})}))
        assert answer.headers.get("Content-Type", "").split(";")[0] == V1, (method, path, dict(answer.headers))
        if answer.status >= 400:
            assert isinstance(answer.json, dict) and answer.json.keys() == {"error_code", "message"}, (path, answer)
            assert isinstance(answer.code, int), (path, answer)
            # 50001 and 50002, Confluent's for a store that fails or is slow, come with 503 and 504 as well.
            assert str(answer.code).startswith("500" if answer.status >= 500 else str(answer.status)), (path, answer)
            assert isinstance(answer.json["message"], str) and answer.json["message"], (path, answer)
        return answer

    def read(self, path, **params):
        answer = self.call("GET", path, **params)
        assert answer.status == 200, (path, params, answer)
        return answer.json

    def register(self, subject, schema, **body):
        """The id of a schema (text, or what becomes text) that must be taken."""
        answer = self.call("POST", f"/subjects/{quoted(subject)}/versions", {"schema": text(schema), **body})
        assert answer.status == 200, (subject, answer)
        return answer.json["id"]

    def versions(self, subject, **params):
        return self.read(f"/subjects/{quoted(subject)}/versions", **params)


def quoted(subject):
    return requests.utils.quote(subject, safe="")


def text(schema):
    """As the registry prints it."""
    return schema if isinstance(schema, str) else json.dumps(schema, separators=(",", ":"))


def record(name, *fields, **more):
    """A record; a field is "name:type" for a primitive type, or an object."""
    made = [dict(zip(("name", "type"), field.split(":"))) if isinstance(field, str) else field for field in fields]
    return {"type": "record", "name": name, "fields": made, **more}


def optional(name, kind="string"):
    return {"name": name, "type": ["null", kind], "default": None}


def unique(stem="s"):
    return f"{stem}-{uuid.uuid4().hex[:10]}"


# --- tables: each row is (method and path, body, status, what comes) ---

class Bind:
    """In an expectation: any value the first time, the same one from then on; {name} in later paths."""

    def __init__(self, name):
        self.name = name


class Like:
    """In an expectation: text in which this pattern is found."""

    def __init__(self, pattern):
        self.pattern = pattern


ANYTHING = object()


class Table:
    """Runs rows one after the other and says which failed. {s}, {t}, {u} are subjects of this table's own, and
    every {name} in a path or a body is what a Bind has seen."""

    def __init__(self, registry, **names):
        self.registry = registry
        self.names = {"s": unique(), "t": unique("t"), "u": unique("u"), **names}

    def run(self, rows):
        for number, (line, body, status, expected) in enumerate(rows):
            method, path = self.filled(line).split(" ", 1)
            answer = self.registry.call(method, path, self.filled(body))
            where = f"row {number}: {method} {path} {self.filled(body)}"
            assert answer.status == status, f"{where}: {status} expected, {answer}"
            if status >= 400:
                assert answer.code == (expected[0] if isinstance(expected, tuple) else expected), f"{where}: {answer}"
                if isinstance(expected, tuple):
                    assert re.search(self.filled(expected[1]), answer.json["message"]), f"{where}: {answer}"
            else:
                self.match(expected, answer.json, where)

    def filled(self, value):
        if isinstance(value, str):
            return re.sub(r"\{(\w+)\}", lambda found: str(self.names.get(found[1], found[0])), value)
        if isinstance(value, dict):
            return {key: self.filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        return value

    def match(self, expected, found, where):
        """Objects may have more members than expected; all else is equal."""
        if expected is ANYTHING:
            return
        if isinstance(expected, Bind):
            known = self.names.setdefault(expected.name, found)
            assert found is not None and found == known, f"{where}: {expected.name} was {known}, is {found}"
        elif isinstance(expected, Like):
            assert re.search(expected.pattern, found), f"{where}: {found} is not like {expected.pattern}"
        elif isinstance(expected, dict):
            assert isinstance(found, dict), f"{where}: {found}"
            for key, value in expected.items():
                assert key in found, f"{where}: no {key} in {found}"
                self.match(value, found[key], f"{where} .{key}")
        elif isinstance(expected, list):
            assert isinstance(found, list) and len(expected) == len(found), f"{where}: {expected} expected, {found}"
            for number, (one, other) in enumerate(zip(expected, found)):
                self.match(one, other, f"{where} [{number}]")
        else:
            expected = self.filled(expected)
            same = expected == found and isinstance(expected, bool) == isinstance(found, bool)
            assert same, f"{where}: {expected!r} expected, {found!r}"
