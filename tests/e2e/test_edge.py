"""HTTP at the gateway: refusals in each version's form with nothing of what stands behind them, methods, paths in odd
writings, browsers of other origins, compressed answers, connections of one address."""

import gzip
import json
import re
import socket

import pytest
import requests
from lib.process import Service, free_port
from lib.raw import headers_of, status_of, talk
from lib.waiting import until

V1 = "application/json"
V2 = "application/problem+json"
CONFLUENT = "application/vnd.schemaregistry.v1+json"
LISTED = "https://app.example.com"
POST = "POST {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
GET = "GET {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def edge(stack):
    """A gateway beside the stack's, for browsers, with few connections for each address."""
    port = free_port()
    with Service(stack, "gateway", own_ports=True, http_listen=f"127.0.0.1:{port}", redis_address="",
                 http_cors_origins=f"{LISTED}, http://localhost:3000", http_max_per_address=8) as service:
        until(service.is_ready, 20, "a gateway of its own")
        yield f"http://127.0.0.1:{port}"


# --- refusals: the message, the status; each is followed by a request that nobody may see ---

MALFORMED = [
    (POST + "Content-Length: 2\r\n" + CHUNKED + "0\r\n\r\n", 400),
    (POST + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{{}}", 400),
    (POST + "Content-Length: 2, 2\r\n\r\n{{}}", 400),
    (POST + "Content-Length: 0x2\r\n\r\n{{}}", 400),
    (POST + "Content-Length : 2\r\n\r\n{{}}", 400),
    (POST + "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", 400),
    (POST + "Transfer-Encoding: chunked\r\n" + CHUNKED + "0\r\n\r\n", 400),
    (POST + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400),
    (POST + CHUNKED + "2 \r\n{{}}\r\n0\r\n\r\n", 400),
    (POST + CHUNKED + "2;a=\x01\r\n{{}}\r\n0\r\n\r\n", 400),
    (POST + CHUNKED + "2\r\n{{}}0\r\n\r\n", 400),
    (POST + CHUNKED + "0\r\n" + "X: endless\r\n" * 2000 + "\r\n", 400),
    (GET + "Host: y\r\n\r\n", 400),
    (GET.replace("Host: x\r\n", "") + "\r\n", 400),
    (GET + "X-API-Key: other\r\n\r\n", 400),
    (GET + "Authorization: Bearer a\r\nAuthorization: Bearer a\r\n\r\n", 400),
    (POST + "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{{}}", 400),
    (GET + "X: a\r\n b\r\n\r\n", 400),
    (GET + "X: a\x00b\r\n\r\n", 400),
    (GET.replace("\r\n", "\n") + "\n", 400),
    (GET.replace("HTTP/1.1", "HTTP/1.2") + "\r\n", 505),
    (GET.replace("GET", "FETCH") + "\r\n", 501),
    (GET.replace("GET {path}", "CONNECT x:443") + "\r\n", 501),
    (GET + "Expect: tea\r\n\r\n", 417),
    (GET + "".join(f"X{n}: y\r\n" for n in range(100)) + "\r\n", 431),
    (GET + "X: " + "y" * 33_000 + "\r\n\r\n", 431),
    (GET.replace("{path}", "{path}?" + "x" * 40_000) + "\r\n", 414),
]


@pytest.mark.parametrize(("path", "form"), [("/v1/events/order", V1), ("/v2/events", V2)])
def test_nothing_behind_a_malformed_message_is_seen(stack, demo, path, form):
    key = demo.session.headers["X-API-Key"]
    behind = GET.format(path="/health", key=key) + "\r\n"
    for message, code in MALFORMED:
        answer = talk(stack.url, (message.format(path=path, key=key) + behind).encode("latin-1"))
        said = message[:120], answer[:200]
        assert status_of(answer) == code, said
        assert len(re.findall(rb"HTTP/1\.1 \d", answer)) == 1, said
        assert b'"ok"' not in answer, said
        headers = headers_of(answer)
        assert headers["connection"] == "close", said
        assert headers["content-type"] == (form if "CONNECT" not in message else V1), said


def test_two_keys_are_one_only_when_they_are_the_same(demo, tenant):
    ask = lambda bearer, key: requests.get(f"{demo.base}/v1/kpi/minute", timeout=5,
                                           headers={"Authorization": f"Bearer {bearer}", "X-API-Key": key})
    own = demo.session.headers["X-API-Key"]
    assert ask(own, own).status_code == 200
    answer = ask(own, tenant.key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ambiguous_key")


def test_a_401_says_what_it_wants(stack):
    for path, wanted in (("/v1/kpi/minute", "Bearer"), ("/v2/events", "Bearer"), ("/v2/registry/subjects", "Basic"),
                         ("/admin/v1/tenants", "Bearer")):
        answer = requests.request("POST" if path == "/v2/events" else "GET", stack.url + path, timeout=5)
        assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith(wanted), path


def test_old_clients_are_not_told_to_continue(stack, demo):
    answer = talk(stack.url, (POST.format(path="/v2/events", key=demo.session.headers["X-API-Key"]).replace("/1.1", "/1.0")
                              + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n[]").encode())
    assert status_of(answer) not in (None, 100) and b" 100 " not in answer


def test_100_continue_comes_before_the_body_is_sent(stack, demo):
    host, port = stack.url.removeprefix("http://").split(":")
    head = POST.format(path="/v2/events", key=demo.session.headers["X-API-Key"]) + "Connection: close\r\n"
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall((head + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n").encode())
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"[]")
        assert status_of(connection.recv(1000)) == 400  # no events
    answer = talk(stack.url, (head + "Expect: 100-continue\r\nContent-Length: 999999999\r\n\r\n").encode())
    assert status_of(answer) == 413


# --- methods ---

@pytest.mark.parametrize(("method", "path", "form", "allow"), [
    ("DELETE", "/v1/kpi/minute", V1, "GET, HEAD, OPTIONS"), ("GET", "/v1/events/order", V1, "POST, OPTIONS"),
    ("PUT", "/v2/events", V2, "POST, OPTIONS"), ("PATCH", "/admin/v1/tenants", V2, "GET, HEAD, POST, OPTIONS"),
    ("PATCH", "/v2/registry/config", CONFLUENT, "GET, HEAD, PUT, DELETE, OPTIONS"),
    ("GET", "/v2/registry/subjects/a%2Fb", CONFLUENT, "POST, DELETE, OPTIONS"), ("TRACE", "/kpi/minute", V1, "GET, HEAD, OPTIONS"),
])
def test_a_wrong_method_is_told_in_the_form_of_its_path(stack, method, path, form, allow):
    for body in (None, b"{}"):
        answer = requests.request(method, stack.url + path, data=body, timeout=5)
        assert answer.status_code == 405 and answer.headers["Content-Type"] == form
        assert answer.headers["Allow"] == allow
    answer = requests.options(stack.url + path, timeout=5)
    assert (answer.status_code, answer.headers["Allow"], answer.content) == (204, allow, b"")


def test_what_is_not_there_is_told_in_the_form_of_its_path(stack):
    for path, form in (("/v1/nothing", V1), ("/nothing", V1), ("/v2/nothing", V2), ("/admin/v1/nothing", V2),
                       ("/v2/registry/nothing", CONFLUENT)):
        answer = requests.get(stack.url + path, timeout=5)
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, form), path


def test_options_of_the_whole_server(stack):
    answer = talk(stack.url, b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert status_of(answer) == 204
    assert set(headers_of(answer)["allow"].split(", ")) == {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def test_head_is_get_without_its_body(demo):
    for path in ("/v1/kpi/minute", "/v2/event-types", "/v1/nothing"):
        full, head = demo.request("GET", path), demo.request("HEAD", path)
        assert head.status_code == full.status_code and head.content == b""
        for name in ("Content-Type", "ETag", "Vary", "Content-Encoding"):
            assert head.headers.get(name) == full.headers.get(name), (path, name)


# --- paths: one route, however they are written ---

@pytest.mark.parametrize(("path", "code"), [
    ("/v1/kpi/minute", 200), ("/v1/kpi/%6Dinute", 200), ("/%761/kpi/minute", 200), ("/api/v1/kpi/minute", 200), ("/kpi/minute", 200),
    ("/v1/kpi/minute/", 404), ("/v1//kpi/minute", 404), ("//v1/kpi/minute", 404), ("/v1/kpi%2Fminute", 404),
    ("/v1%2fkpi/minute", 404), ("/v1/kpi/./minute", 400), ("/v1/kpi/../kpi/minute", 400), ("/v1/x/%2e%2e/kpi/minute", 400),
    ("/v1/x/.%2E/kpi/minute", 400), ("/v1/x%2f..%2fkpi/minute", 404), ("/v1/x/..%2fkpi/minute", 404), ("/v1/kpi/minute%00", 400),
    ("/v1/kpi/%252e%252e/minute", 404), ("/v1/kpi/..;/minute", 404), ("/V1/kpi/minute", 404), ("/v1\\kpi\\minute", 400),
    ("/v2/registry/../../admin/v1/tenants", 400), ("/v2/registry/subjects/..%2f..%2f..%2fadmin/versions", 404),
    ("/v2/registry/subjects/%2e%2e/versions", 400),
])
def test_no_writing_of_a_path_changes_its_route(stack, demo, path, code):
    answer = talk(stack.url, (GET.format(path=path, key=demo.session.headers["X-API-Key"])
                              + "Connection: close\r\n\r\n").encode())
    assert status_of(answer) == code, answer[:300]


# --- browsers ---

def preflight(url, path, origin, method="POST"):
    return requests.options(url + path, timeout=5, headers={"Origin": origin, "Access-Control-Request-Method": method})


def test_a_page_of_a_listed_origin_may_call(edge, demo):
    answer = preflight(edge, "/v2/events", LISTED)
    assert answer.status_code == 204 and answer.content == b""
    assert answer.headers["Access-Control-Allow-Origin"] == LISTED
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.headers["Access-Control-Allow-Methods"] == "POST, OPTIONS"
    assert "X-API-Key" in answer.headers["Access-Control-Allow-Headers"]
    assert answer.headers["Access-Control-Max-Age"] == "600" and "Origin" in answer.headers["Vary"]
    for path, headers in (("/v1/kpi/minute", demo.session.headers), ("/v1/kpi/minute", {}), ("/nothing", {})):
        answer = requests.get(edge + path, timeout=5, headers={**headers, "Origin": LISTED})
        assert answer.headers["Access-Control-Allow-Origin"] == LISTED, path
        assert "RateLimit" in answer.headers["Access-Control-Expose-Headers"]


def test_pages_of_other_origins_are_told_nothing(edge, stack, demo):
    for origin in ("https://evil.example.com", "null", LISTED + ".evil.com", LISTED.upper(), LISTED + ":443"):
        answer = preflight(edge, "/v2/events", origin)
        assert answer.status_code == 403 and answer.json()["code"] == "origin_not_allowed", origin
        asked = requests.get(edge + "/v1/kpi/minute", timeout=5, headers={**demo.session.headers, "Origin": origin})
        assert asked.status_code == 200
        for headers in (answer.headers, asked.headers):
            assert not [name for name in headers if name.lower().startswith("access-control-")], origin
            assert "Origin" in headers["Vary"]
    answer = preflight(stack.url, "/v2/events", LISTED)  # a gateway without a list
    assert answer.status_code == 204 and "Access-Control-Allow-Origin" not in answer.headers


# --- compression ---

def test_answers_come_compressed_to_those_who_ask(stack, demo):
    path = stack.url + "/openapi/v1.json"
    ask = lambda coding, **more: requests.get(path, timeout=5, stream=True, headers={"Accept-Encoding": coding, **more})
    plain, packed = ask("identity"), ask("gzip;q=0.5, zstd;q=0")
    content, wire = plain.raw.read(), packed.raw.read(decode_content=False)
    assert "Content-Encoding" not in plain.headers and packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(wire) == content and len(wire) < len(content) / 3
    assert json.loads(content)["openapi"]
    for answer in (plain, packed):
        assert "Accept-Encoding" in answer.headers["Vary"]
    assert packed.headers["ETag"] == "W/" + plain.headers["ETag"].removeprefix("W/")
    assert ask("gzip", **{"If-None-Match": packed.headers["ETag"]}).status_code == 304
    assert ask("zstd").headers["Content-Encoding"] == "zstd"
    assert "Content-Encoding" not in demo.request("GET", "/health").headers  # too short to be worth it


# --- connections ---

def test_one_address_has_only_so_many_connections(edge):
    host, port = edge.removeprefix("http://").split(":")
    held = [socket.create_connection((host, int(port)), timeout=5) for _ in range(8)]
    try:
        refused = lambda: re.search(rb"^HTTP/1.1 429 .*too_many_connections", talk(edge, b""), re.DOTALL)
        until(refused, 10, "a refusal")
    finally:
        for connection in held:
            connection.close()
    until(lambda: status_of(talk(edge, b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")) == 200,
          10, "room again")
