"""Two registries on one database, many writers at once, and answers that outlive a kill -9."""

import collections
import concurrent.futures
import signal

import pytest
from lib.process import Service, free_port
from lib.registry import Registry, record, text, unique
from lib.waiting import until

WRITERS = 16


@pytest.fixture
def second(stack, operator):
    """A further registry process beside the stack's: (Service, Registry)."""
    port = free_port()
    with Service(stack, "registry", own_ports=True, http_listen=f"127.0.0.1:{port}") as service:
        service.wait_ready()
        yield service, Registry(f"http://127.0.0.1:{port}", auth=operator)


def together(jobs):
    """Runs all at once; their results in order."""
    with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
        return [future.result() for future in [pool.submit(job) for job in jobs]]


def twins(registry, second, operator):
    """As many clients as writers, on both processes in turn, each with a connection of its own."""
    return [Registry((registry, second[1])[number % 2].base, auth=operator) for number in range(WRITERS)]


def test_one_schema_has_one_id_whoever_registers_it_at_once(registry, second, operator):
    """The same new schema under one subject and under many, from both processes at the same moment."""
    clients = twins(registry, second, operator)
    for turn in range(6):
        schema = text(record("Raced", f"f{turn}_{unique('x').replace('-', '_')}:int"))
        shared, stem = unique(), unique()
        jobs = [lambda client=client, number=number: client.register(shared if number % 3 else f"{stem}-{number}", schema)
                for number, client in enumerate(clients)]
        assert len(set(together(jobs))) == 1
        assert registry.versions(shared) == [1]


def test_no_id_and_no_version_is_given_twice(registry, second, operator):
    clients = twins(registry, second, operator)
    name = unique()
    assert registry.call("PUT", f"/config/{name}", {"compatibility": "NONE"}).status == 200

    def many(number, client):
        return [client.register(name, text(record(f"W{number}", f"f{turn}:int"))) for turn in range(6)]
    ids = [one for some in together([lambda n=n, c=c: many(n, c) for n, c in enumerate(clients)]) for one in some]
    assert len(set(ids)) == len(ids) == WRITERS * 6
    assert registry.versions(name) == list(range(1, WRITERS * 6 + 1))
    seen = collections.Counter(registry.read(f"/subjects/{name}/versions/{version}")["id"]
                               for version in range(1, WRITERS * 6 + 1, 7))
    assert max(seen.values()) == 1 and set(seen) <= set(ids)


def test_racing_changes_that_exclude_each_other_are_not_both_taken(registry, second, operator):
    """Each is compatible with what is there, and none with another."""
    clients = twins(registry, second, operator)
    kinds = ("int", "string", "boolean", "null")
    for _ in range(4):
        name = unique()
        registry.register(name, record("R", "a:int"))
        bodies = [{"schema": text(record("R", "a:int", {"name": "b", "type": kinds[number % 4],
                                                        "default": (0, "", False, None)[number % 4]}))}
                  for number in range(len(clients))]
        answers = together([lambda c=client, b=body: c.call("POST", f"/subjects/{name}/versions", b)
                            for client, body in zip(clients, bodies)])
        assert {answer.status for answer in answers} <= {200, 409}, answers
        assert len({answer.json["id"] for answer in answers if answer.status == 200}) == 1, answers
        assert registry.versions(name) == [1, 2]


def test_deleting_and_registering_at_once_never_leaves_a_dangling_reference(registry, second, operator):
    clients = twins(registry, second, operator)[:2]
    for turn in range(8):
        base, user = unique("base"), unique("user")
        registry.register(base, record("n.T", f"x{turn}:int"))
        body = {"schema": text(record("R", "t:n.T")), "references": [{"name": "n.T", "subject": base, "version": 1}]}
        referring, deleting = together([lambda: clients[0].call("POST", f"/subjects/{user}/versions", body),
                                        lambda: clients[1].call("DELETE", f"/subjects/{base}")])
        assert (referring.status, deleting.status) in ((200, 422), (422, 200)), (referring, deleting)
        if referring.status == 200:
            assert registry.read(f"/subjects/{base}/versions/1/referencedby") == [referring.json["id"]]
        else:
            assert registry.call("GET", f"/subjects/{user}/versions").code == 40401


def test_what_one_process_changes_the_other_sees(registry, second):
    twin, name = second[1], unique()
    number = registry.register(name, '"int"')
    assert twin.read(f"/schemas/ids/{number}")["schema"] == '"int"'
    assert twin.versions(name) == [1]
    assert twin.call("PUT", f"/config/{name}", {"compatibility": "NONE"}).status == 200
    registry.register(name, '"string"')
    assert registry.call("DELETE", f"/subjects/{name}").json == [1, 2]
    assert twin.call("GET", f"/subjects/{name}/versions").code == 40401
    assert registry.call("DELETE", f"/subjects/{name}", permanent="true").json == [1, 2]
    assert twin.call("GET", f"/subjects/{name}/versions", deleted="true").code == 40401


def test_a_permanently_deleted_schema_is_gone_everywhere(context, registry, second, operator):
    """Within two seconds also from what another process has kept in memory."""
    name, inside = context
    twin = Registry(f"{second[1].base}/contexts/:{name}:", auth=operator)
    number = inside.register("s", record("Gone", "x:int"))
    assert twin.read(f"/schemas/ids/{number}") and inside.read(f"/schemas/ids/{number}")
    inside.call("DELETE", "/subjects/s")
    assert twin.read(f"/schemas/ids/{number}")
    inside.call("DELETE", "/subjects/s", permanent="true")
    assert inside.call("GET", f"/schemas/ids/{number}").code == 40403
    until(lambda: twin.call("GET", f"/schemas/ids/{number}").code == 40403, 2, "the other process forgets it", every=0.05)
    assert registry.call("GET", f"/subjects/:{name}:s/versions").code == 40401


def test_an_answered_registration_survives_kill_9(registry, second):
    """Killed right after an answer came: what was answered is there, with its id."""
    service, twin = second
    name = unique()
    registry.call("PUT", f"/config/{name}", {"compatibility": "NONE"})
    given = {}
    for number in range(5):
        schema = text(record("K", f"f{number}:int"))
        given[twin.register(name, schema)] = schema
    service.signal(signal.SIGKILL)
    service.process.wait()
    assert registry.versions(name) == [1, 2, 3, 4, 5]
    for number, schema in given.items():
        assert registry.read(f"/schemas/ids/{number}")["schema"] == schema


def test_writers_cut_off_by_kill_9_find_each_answer_kept_and_may_ask_again(registry, stack, operator):
    port, name = free_port(), unique()
    registry.call("PUT", f"/config/{name}", {"compatibility": "NONE"})
    with Service(stack, "registry", own_ports=True, http_listen=f"127.0.0.1:{port}") as service:
        service.wait_ready()
        killed = []

        def write(writer):
            client, answered = Registry(f"http://127.0.0.1:{port}", auth=operator), {}
            for turn in range(500):
                schema = text(record(f"W{writer}", f"f{turn}:int"))
                try:
                    answered[client.register(name, schema)] = schema
                except OSError:  # requests' errors are
                    return answered, schema
                if writer == 0 and turn == 20:
                    killed.append(service.signal(signal.SIGKILL))
            raise AssertionError("the registry was not killed")
        results = together([lambda w=w: write(w) for w in range(8)])
    assert killed
    ids = [number for answered, _ in results for number in answered]
    assert len(ids) == len(set(ids)) > 20
    for answered, unanswered in results:
        for number, schema in list(answered.items())[-5:]:
            assert registry.read(f"/schemas/ids/{number}")["schema"] == schema
        again = registry.register(name, unanswered)
        assert registry.register(name, unanswered) == again
    versions = registry.versions(name)
    assert len(versions) == len(ids) + 8 and versions == list(range(1, len(versions) + 1))


def test_while_the_database_stands_still_writers_hear_so_and_readers_read_on(registry, stack, operator):
    """503 or 504 within the deadline, nothing half done, and all well as soon as it goes on."""
    port, name = free_port(), unique()
    schema, other = text(record("Stall", "x:int")), text(record("Stall", "x:long"))
    with Service(stack, "registry", own_ports=True, http_listen=f"127.0.0.1:{port}", http_deadline="700ms") as service:
        service.wait_ready()
        client = Registry(f"http://127.0.0.1:{port}", auth=operator)
        number = client.register(name, schema)
        assert client.read(f"/schemas/ids/{number}")["schema"] == schema
        stack.command("pause", "postgres")
        try:
            answer = client.call("POST", f"/subjects/{name}/versions", {"schema": other})
            assert answer.status in (503, 504) and answer.code in (50001, 50002), answer
            assert client.read(f"/schemas/ids/{number}")["schema"] == schema
        finally:
            stack.command("resume", "postgres")
        until(lambda: client.call("POST", f"/subjects/{name}/versions", {"schema": other}).status == 200, 15, "writing goes on")
    assert registry.versions(name) == [1, 2]
