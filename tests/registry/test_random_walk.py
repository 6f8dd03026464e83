"""Random operations on some subjects of one context, each answer compared with what a model of ten lines says.

The model is Confluent's documentation: soft and hard deletion, ids that stay, version numbers that never come
again. TIDEGATE_TEST_SEED repeats a walk."""

import random

from lib.registry import Registry, record, text, unique

STEPS = 250
SUBJECTS = ("s1", "s2", "s3")
SCHEMAS = [text(record("R", *[{"name": f"f{number}", "type": "int", "default": 0}] * bool(number)))
           for number in range(6)]  # any two are compatible


class Model:
    """subject -> {version: [schema, deleted]}"""

    def __init__(self):
        self.subjects = {name: {} for name in SUBJECTS}
        self.last = dict.fromkeys(SUBJECTS, 0)
        self.ids = {}  # schema -> id, as long as a version of it is there

    def live(self, name):
        return [version for version, (_, gone) in self.subjects[name].items() if not gone]

    def all(self, name):
        return list(self.subjects[name])

    def find(self, name, schema, deleted):
        found = [version for version, (one, gone) in self.subjects[name].items() if one == schema and (deleted or not gone)]
        live = [version for version in found if version in self.live(name)]
        return (live or found)[-1] if found else None

    def register(self, name, schema):
        if self.find(name, schema, False) is None:
            self.last[name] += 1
            self.subjects[name][self.last[name]] = [schema, False]

    def drop(self, name, versions):
        for version in versions:
            del self.subjects[name][version]
        kept = {schema for versions in self.subjects.values() for schema, _ in versions.values()}
        self.ids = {schema: number for schema, number in self.ids.items() if schema in kept}


class Walk:
    def __init__(self, registry, seed):
        self.registry, self.rng, self.model, self.log = registry, random.Random(seed), Model(), []

    def call(self, method, path, body=None, **params):
        answer = self.registry.call(method, path, body, **params)
        self.log.append(f"{method} {path} {params or ''} {SCHEMAS.index(body['schema']) if body else ''} -> {answer!r:.90}")
        return answer

    def expect(self, answer, status, what):
        found = (answer.status, answer.json if status == 200 else answer.code)
        assert found == (status, what), f"{(status, what)} expected, {answer}, after\n" + "\n".join(self.log[-12:])

    def step(self):
        name, schema = self.rng.choice(SUBJECTS), self.rng.choice(SCHEMAS)
        self.rng.choice((self.register, self.register, self.look_up, self.read, self.lists, self.delete_version,
                         self.delete_subject, self.by_id))(name, schema)

    def register(self, name, schema):
        answer = self.call("POST", f"/subjects/{name}/versions", {"schema": schema})
        assert answer.status == 200, answer
        number = self.model.ids.setdefault(schema, answer.json["id"])
        assert answer.json["id"] == number and list(self.model.ids.values()).count(number) == 1, (answer, self.model.ids)
        self.model.register(name, schema)

    def look_up(self, name, schema):
        deleted = self.rng.random() < 0.5
        answer = self.call("POST", f"/subjects/{name}", {"schema": schema}, deleted=str(deleted).lower())
        version = self.model.find(name, schema, deleted)
        if version is not None:
            assert (answer.status, answer.json["version"], answer.json["id"]) == (200, version, self.model.ids[schema]), (
                answer, version, self.log[-12:])
        else:
            known = self.model.all(name) if deleted else self.model.live(name)
            self.expect(answer, 404, 40403 if known else 40401)

    def read(self, name, _):
        version = self.rng.randint(1, self.model.last[name] + 1)
        deleted = self.rng.random() < 0.3
        answer = self.call("GET", f"/subjects/{name}/versions/{version}", deleted=str(deleted).lower())
        seen = self.model.all(name) if deleted else self.model.live(name)
        if version in seen:
            schema = self.model.subjects[name][version][0]
            assert (answer.status, answer.json["schema"], answer.json["id"]) == (200, schema, self.model.ids[schema]), answer
        else:
            self.expect(answer, 404, 40402 if seen else 40401)

    def lists(self, name, _):
        model = self.model
        for params, seen in (({}, model.live(name)), ({"deleted": "true"}, model.all(name)),
                             ({"deletedOnly": "true"}, sorted(set(model.all(name)) - set(model.live(name))))):
            answer = self.call("GET", f"/subjects/{name}/versions", **params)
            if seen:
                self.expect(answer, 200, seen)
            elif params != {"deletedOnly": "true"}:
                self.expect(answer, 404, 40401)
        found = [one.rsplit(":", 1)[-1] for one in self.call("GET", "/subjects").json]
        assert sorted(found) == [one for one in SUBJECTS if model.live(one)], found

    def delete_version(self, name, _):
        model, permanent = self.model, self.rng.random() < 0.4
        version = self.rng.randint(1, model.last[name] + 1)
        answer = self.call("DELETE", f"/subjects/{name}/versions/{version}", permanent=str(permanent).lower())
        if not model.all(name):
            self.expect(answer, 404, 40401)
        elif version not in model.all(name):
            assert answer.status == 404 and answer.code in (40401, 40402), answer
        elif version in model.live(name):
            self.expect(answer, *((404, 40407) if permanent else (200, version)))
            if not permanent:
                model.subjects[name][version][1] = True
        elif permanent:
            self.expect(answer, 200, version)
            model.drop(name, [version])
        else:
            assert answer.status == 404 and answer.code in (40406, 40401), answer

    def delete_subject(self, name, _):
        model, permanent = self.model, self.rng.random() < 0.5
        answer = self.call("DELETE", f"/subjects/{name}", permanent=str(permanent).lower())
        live, every = model.live(name), model.all(name)
        if not every:
            self.expect(answer, 404, 40401)
        elif permanent and live:
            self.expect(answer, 404, 40405)
        elif permanent:
            self.expect(answer, 200, every)
            model.drop(name, every)
        elif live:
            self.expect(answer, 200, live)
            for version in live:
                model.subjects[name][version][1] = True
        else:
            self.expect(answer, 404, 40404)

    def by_id(self, _, schema):
        if schema in self.model.ids:
            answer = self.call("GET", f"/schemas/ids/{self.model.ids[schema]}")
            self.expect(answer, 200, {**answer.json, "schema": schema})


def test_a_random_walk(context, seed):
    walk = Walk(context[1], seed)
    for _ in range(STEPS):
        walk.step()


def test_ten_fixed_walks(stack, operator):
    for seed in range(10):
        walk = Walk(Registry(f"{stack.upstream('registry')}/contexts/:{unique('.w')}:", auth=operator), seed)
        for _ in range(STEPS // 5):
            walk.step()
