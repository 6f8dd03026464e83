"""Requests whose head, path or framing is odd or hostile, sent byte for byte: an answer below 500 or a closed
connection, and the gateway as it was."""

import random
import re

import pytest
from lib.raw import status_of, talk


@pytest.fixture(autouse=True)
def unharmed(stack, demo):
    pids = {name: stack.pid(name) for name in ("gateway", "ingestion", "query", "registry")}
    yield
    assert {name: stack.pid(name) for name in pids} == pids
    assert demo.get("/v1/kpi/minute").status_code == 200


@pytest.fixture
def exchange(stack):
    """exchange(bytes): all that comes back until the gateway closes or is silent."""
    return lambda request, **options: talk(stack.url, request, **options)


PATHS = ["/v2/registry", "/v2/registry/", "/v2/registry//", "/v2/registryx", "/v2", "/v2/", "/v1", "/v1/", "//", "/api",
         "/api/v1", "/api/v1/", "/api/kpi/minute", "/v1/api/v1/kpi/minute", "/v1/v1/kpi/minute", "/v1//kpi/minute", "/kpi",
         "/kpi/", "/metrics/", "/streams/", "/events", "/events/", "/v1/kpi/%", "/v1/kpi/%2", "/v1/kpi/%zz", "/v1/kpi/%00",
         "/v1/kpi/..", "/v1/../v1/kpi/minute", "/v1/kpi/%2e%2e/minute", "/v1/kpi/minute%2f", "/v1/kpi/minute/",
         "/v1/kpi/minute;x", "/v1/kpi/minute#x", "/v1/kpi/minute?", "/v1/kpi/minute??", "/v1/kpi/minute?&&&", "/?", "/*",
         "*", "?", "http://x/v1/kpi/minute", "/v1/kpi/minute?limit=%00", "/v1/kpi/minute?limit", "/v1/kpi/minute?=1",
         "/v1/kpi/minute?" + "&".join(["x=1"] * 5000), "/v1/kpi/" + "x" * 7000, "/v1/metrics?stream_id=" + "%41" * 2000,
         "/v1/kpi/minute?currency=%ff%fe", "/v1/metrics?stream_id=%ed%a0%80", "/" + "a/" * 3000, "/v1/kpi/\u00fc"]


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_odd_paths_are_answered_below_500(stack, exchange, demo, method):
    for path in PATHS:
        body = b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}" if method == "POST" else b"\r\n"
        answer = exchange(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                          f"X-API-Key: {demo.session.headers['X-API-Key']}\r\n".encode() + body)
        status = status_of(answer)
        assert status is not None and 200 <= status < 500, (path, answer[:200])
        # Of a request that is malformed nothing is believed, not even that it is a HEAD.
        assert method != "HEAD" or status == 400 or answer.endswith(b"\r\n\r\n"), f"a HEAD of {path} has a body"


GOOD = "POST /v1/events/order HTTP/1.1\r\nHost: x\r\nX-API-Key: KEY\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize("head", [
    GOOD + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    GOOD + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    GOOD + "Content-Length: -1\r\n\r\n{}", GOOD + "Content-Length: 2x\r\n\r\n{}", GOOD + "Content-Length: +2\r\n\r\n{}",
    GOOD + "Content-Length: 99999999999999999999\r\n\r\n{}", GOOD + "Transfer-Encoding: gzip\r\n\r\n{}",
    GOOD + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    GOOD + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    GOOD + "X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}", GOOD.replace("Host: x\r\n", "") + "Content-Length: 2\r\n\r\n{}",
    GOOD + "Host: y\r\nContent-Length: 2\r\n\r\n{}", GOOD.replace("\r\n", "\n") + "Content-Length: 2\n\n{}",
    GOOD + "X-Tidegate-Tenant : b\r\nContent-Length: 2\r\n\r\n{}", GOOD + "bad header\r\nContent-Length: 2\r\n\r\n{}",
    GOOD + "X: " + "y" * 200_000 + "\r\n\r\n", GOOD + "".join(f"X{n}: y\r\n" for n in range(500)) + "\r\n",
    GOOD.replace("HTTP/1.1", "HTTP/9.9") + "\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\x00" * 1000, "G" * 100_000,
])
def test_bad_framing_is_refused(exchange, demo, head):
    request = head.replace("KEY", demo.session.headers["X-API-Key"]).encode("latin-1")
    status = status_of(exchange(request))
    assert status is None or 400 <= status < 600 and status not in (500, 502, 504), status
    assert status != 202


def test_two_requests_never_come_of_one(exchange, demo):
    """What stands behind a request that was refused for its framing is never taken as another one."""
    key = demo.session.headers["X-API-Key"]
    smuggled = f"GET /v1/kpi/minute HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n"
    for framing in (f"Content-Length: {len(smuggled) + 5}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
                    "Content-Length: 0\r\nContent-Length: 5\r\n\r\n"):
        answer = exchange((GOOD.replace("KEY", key) + framing + smuggled).encode())
        assert answer.count(b"HTTP/1.1 ") == 1 and b" 200 " not in answer.split(b"\r\n")[0], answer[:300]


def test_random_bytes_do_no_harm(exchange, seed):
    rng = random.Random(seed)
    good = GOOD.encode() + b"Content-Length: 2\r\n\r\n{}"
    for _ in range(60):
        broken = bytearray(good)
        for _ in range(rng.randint(1, 12)):
            place = rng.randrange(len(broken))
            broken[place:place + rng.randint(0, 2)] = rng.randbytes(rng.randint(0, 3))
        status = status_of(exchange(bytes(broken), wait=0.02))
        assert status is None or 400 <= status < 500 or status in (501, 505), (status, bytes(broken))


def test_pipelined_requests_are_answered_in_order(exchange, demo):
    key = demo.session.headers["X-API-Key"]
    ask = lambda path, last=False: (f"GET {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n"
                                    + ("Connection: close\r\n" if last else "") + "\r\n").encode()
    answer = exchange(ask("/v1/kpi/minute") + ask("/nothing") + ask("/health") + ask("/v1/metrics?n=1", True))
    assert [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)] == [200, 404, 200, 400]
