"""What a gateway does with instances that are frozen, refuse, fail or are held by an operator: two real query
services, or one of the test's own, behind a gateway of the test's own."""

import concurrent.futures
import http.server
import json
import signal
import socket
import threading
import time

import pytest
from lib import metrics
from lib.api import Api, error_of
from lib.process import Service, free_port
from lib.stack import StackError
from lib.waiting import holds, until

# Short, so that the tests are: an instance is found silent after 3 x 0.3 s.
QUICK = {"health_interval": "100ms", "health_timeout": "300ms", "breaker_open": "200ms", "breaker_open_max": "1s"}


class Breakers(Api):
    """A gateway's breakers as its admin API tells them."""

    def list(self, upstream):
        return {item["instance"]: item for item in self.read("/admin/v1/breakers")["items"]
                if item["upstream"] == upstream}

    def put(self, upstream, instance, body):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("PUT", f"/admin/v1/breakers/{upstream}/{instance}", data=data)

    def set(self, upstream, instance, state):
        response = self.put(upstream, instance, {"state": state})
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture(scope="module")
def operator(stack):
    key = stack.cli("admin", "bootstrap", "--expires", "1h")
    yield key
    Api(stack.url, key).request("DELETE", f"/admin/v1/keys/{key[3:15]}")


class Gateway(Service):
    def __init__(self, stack, operator, **settings):
        port = free_port()
        super().__init__(stack, "gateway", own_ports=True, http_listen=f"127.0.0.1:{port}", **settings)
        self.url = f"http://127.0.0.1:{port}"
        self.breakers = Breakers(self.url, operator)

    def start(self):
        self.wait_ready()
        until(lambda: self.breakers.get("/admin/v1/breakers").status_code == 200, 5, "it knows the operator's key")
        return self


@pytest.fixture
def queries(stack):
    """Two query services: their addresses, and the processes by address."""
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    with Service(stack, "query", own_ports=True, http_listen=addresses[0]) as one, \
            Service(stack, "query", own_ports=True, http_listen=addresses[1]) as two:
        one.wait_ready()
        two.wait_ready()
        yield dict(zip(addresses, (one, two)))


class Readers:
    """Reads all the time, by several at once; `failed` has the answers that were not 200."""

    def __init__(self, url, key, count=8):
        self.done, self.failed, self.stopped = 0, [], threading.Event()
        self.pool = concurrent.futures.ThreadPoolExecutor(count)
        self.work = [self.pool.submit(self.read, Api(url, key)) for _ in range(count)]

    def read(self, api):
        number = 0
        while not self.stopped.is_set():
            number += 1  # another question each time: nothing comes from a cache
            response = api.get("/v1/kpi/minute", limit=1 + number % 2000)
            self.done += 1
            if response.status_code != 200:
                self.failed.append((response.status_code, response.text))
            time.sleep(0.005)

    def stop(self):
        self.stopped.set()
        for work in self.work:
            work.result(timeout=30)
        self.pool.shutdown()


def test_a_frozen_instance_costs_no_reader_an_answer(stack, operator, tenant, queries):
    frozen, other = queries
    with Gateway(stack, operator, query_instances=",".join(queries), **QUICK) as gateway:
        gateway.start()
        readers = Readers(gateway.url, tenant.key)
        try:
            until(lambda: all(item["calls"] > 40 for item in gateway.breakers.list("query").values()), 20,
                  "both instances have calls")
            queries[frozen].signal(signal.SIGSTOP)
            until(queries[frozen].is_stopped, 5, "it stands still")
            began = readers.done
            until(lambda: gateway.breakers.list("query")[frozen]["state"] == "open", 10, "its breaker opens")
            opened = gateway.breakers.list("query")
            assert opened[frozen]["healthy"] is False
            assert opened[other]["state"] == "closed" and opened[other]["healthy"] is True
            until(lambda: readers.done > began + 200, 20, "the other one takes over")

            queries[frozen].signal(signal.SIGCONT)
            until(lambda: gateway.breakers.list("query")[frozen]["state"] == "closed", 35, "it closes by itself")
            calls = gateway.breakers.list("query")[frozen]["calls"]
            until(lambda: gateway.breakers.list("query")[frozen]["calls"] > calls, 20, "it has calls again")
        finally:
            queries[frozen].signal(signal.SIGCONT)
            readers.stop()
        assert readers.failed == []
        samples = metrics.read(gateway.admin)
        changes = f'tidegate_gateway_breaker_changes_total{{upstream="query",instance="{frozen}",to='
        assert samples[changes + '"open"}'] >= 1 and samples[changes + '"closed"}'] >= 1
        assert samples[f'tidegate_gateway_health_checks_total{{upstream="query",instance="{frozen}",result="bad"}}'] >= 3
    log = [json.loads(line) for line in stack.log_tail("gateway", 500).splitlines() if "breaker_changed" in line]
    lines = [line for line in log if line["instance"] == frozen]
    assert {"open", "half_open", "closed"} <= {line["to"] for line in lines}
    assert all(line["upstream"] == "query" and line["why"] for line in lines)


class Refusing(http.server.BaseHTTPRequestHandler):
    """An instance that says "later" to everything, its health checks too, while `refuses` is set."""

    protocol_version = "HTTP/1.1"
    refuses = threading.Event()

    def do_GET(self):
        refuses = self.refuses.is_set()
        body = b'{"items":[]}'
        self.send_response(503 if refuses else 200)
        if refuses:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def refusing():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    Refusing.refuses.set()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_instance_that_says_when_to_come_again_is_never_shut_out(stack, operator, tenant, refusing):
    with Gateway(stack, operator, query_instances=refusing, **QUICK) as gateway:
        gateway.start()
        api = Api(gateway.url, tenant.key)

        def refused_and_closed():
            response = api.get("/v1/kpi/minute")
            item = gateway.breakers.list("query")[refusing]
            return (response.status_code == 503 and response.headers["Retry-After"] == "1"
                    and item["state"] == "closed" and item["healthy"])

        holds(refused_and_closed, 3, "it is asked each time, and its breaker stays closed")
        Refusing.refuses.clear()
        assert api.get("/v1/kpi/minute").status_code == 200
        item = gateway.breakers.list("query")[refusing]
        assert item["failures"] == 0 and item["opened"] == 0 and item["calls"] > 10


def test_an_operator_opens_and_closes_a_breaker(stack, operator, tenant, store, queries):
    first, second = queries
    with Gateway(stack, operator, query_instances=",".join(queries), http_threads=2, **QUICK) as gateway:
        gateway.start()
        api, breakers = Api(gateway.url, tenant.key), gateway.breakers
        done = breakers.set("query", first, "open")
        assert (done["before"], done["set"], done["audited"]) == ("auto", "open", True)

        def held_everywhere():
            item = breakers.list("query")[first]
            return item["set"] == "open" and item["threads"] == {"closed": 0, "open": 2, "half_open": 0}

        until(held_everywhere, 2, "both threads follow")
        before = breakers.list("query")
        assert before[first]["next_probe"] is None and before[first]["why"] == "operator"
        for _ in range(20):
            assert Api(gateway.url, tenant.key).get("/v1/kpi/minute").status_code == 200
        after = breakers.list("query")
        assert after[first]["calls"] == before[first]["calls"]
        assert after[second]["calls"] > before[second]["calls"]

        breakers.set("query", second, "open")
        until(lambda: breakers.list("query")[second]["threads"]["open"] == 2, 2, "both threads follow")
        assert error_of(api.get("/v1/kpi/minute"))[:2] == (503, "upstream_unavailable")
        assert Api(stack.url, tenant.key).get("/v1/kpi/minute").status_code == 200  # another gateway's are its own

        for instance in queries:
            assert breakers.set("query", instance, "auto")["before"] == "open"
        until(lambda: all(item["state"] == "closed" and item["set"] == "auto"
                          for item in breakers.list("query").values()), 10, "good checks close them again")
        assert api.get("/v1/kpi/minute").status_code == 200
    rows = Api(stack.url, operator).read("/admin/v1/audit", action="breaker.open")["items"]
    row = next(row for row in rows if row["object"] == f"query/{first}")
    assert row["actor"] == f"key:{operator[3:15]}"
    assert row["after"]["before"] == "auto" and row["after"]["set"] == "open" and row["after"]["gateway"]


@pytest.mark.parametrize("path,body,status,code", [
    (("query", "127.0.0.1:1"), {"state": "open"}, 404, "not_found"),
    (("nothing", "127.0.0.1:1"), {"state": "open"}, 404, "not_found"),
    (("query", "127.0.0.1:1"), {"state": "ajar"}, 400, "invalid_field"),
    (("query", "127.0.0.1:1"), {"state": "open", "for": 1}, 400, "invalid_field"),
    (("query", "127.0.0.1:1"), b"{", 400, "invalid_field")])
def test_a_wrong_hand_is_refused_by_name(stack, operator, path, body, status, code):
    assert error_of(Breakers(stack.url, operator).put(*path, body))[:2] == (status, code)


def test_breakers_are_the_operators_alone(stack, tenant):
    assert Api(stack.url, tenant.key).get("/admin/v1/breakers").status_code == 403
    assert Breakers(stack.url, tenant.key).put("query", "127.0.0.1:1", {"state": "open"}).status_code == 403


def test_the_command_line_shows_and_sets_breakers(stack, operator, queries, monkeypatch):
    first = next(iter(queries))
    with Gateway(stack, operator, query_instances=",".join(queries)) as gateway:
        gateway.start()
        monkeypatch.setenv("TIDEGATE_CLI_GATEWAY_ADDRESS", gateway.url.removeprefix("http://"))
        monkeypatch.setenv("TIDEGATE_CLI_GATEWAY_KEY", operator)

        def listed():
            return {tuple(line.split()[:4]) for line in stack.cli("breakers", "list").splitlines()[1:]}

        assert ("query", first, "closed", "auto") in listed()
        stack.cli("breakers", "set", "query", first, "open")
        until(lambda: ("query", first, "open", "open") in listed(), 3, "it shows what is set")
        with pytest.raises(StackError, match="no such instance"):
            stack.cli("breakers", "set", "query", "127.0.0.1:1", "open")


@pytest.fixture
def silent():
    """An instance that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_breaker_opens_within_five_deadlines(stack, operator, tenant, silent):
    """Without health checks, by what calls find alone; then nobody waits any more."""
    with Gateway(stack, operator, query_instances=silent, health_interval="0s", http_deadline="250ms") as gateway:
        gateway.start()
        api = Api(gateway.url, tenant.key)
        for _ in range(5):
            assert gateway.breakers.list("query")[silent]["state"] == "closed"
            assert error_of(api.get("/v1/kpi/minute"))[:2] == (504, "deadline_exceeded")
        item = gateway.breakers.list("query")[silent]
        assert item["state"] == "open" and item["why"] == "failures_in_row" and item["next_probe"]
        assert error_of(api.get("/v1/kpi/minute"))[:2] == (503, "upstream_unavailable")
