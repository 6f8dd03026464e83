"""A gateway in operation: TLS, new certificates and settings while it runs, its access log, its end."""

import concurrent.futures
import configparser
import contextlib
import json
import re
import signal
import socket
import ssl
import subprocess

import pytest
import requests
from lib import metrics
from lib.api import Api
from lib.process import Service, free_port
from lib.waiting import until

DEPRECATED = "/v1/kpi/* 2026-12-01 2027-06-30 /v2/query"


def make_certificate(path, days):
    """PATH.crt and PATH.key for 127.0.0.1, by the openssl tool."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", str(days), "-subj", "/CN=tidegate", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", f"{path}.key", "-out", f"{path}.crt"], check=True, capture_output=True)


class Gateway(Service):
    """A second gateway over TLS on the same stack, whose settings are in a file of its own."""

    def __init__(self, stack, folder):
        super().__init__(stack, "gateway")
        self.folder, self.port, admin_port = folder, free_port(), free_port()
        self.url, self.admin = f"https://127.0.0.1:{self.port}", f"http://127.0.0.1:{admin_port}"
        self.ini = configparser.ConfigParser(interpolation=None, delimiters=("=",))
        self.ini.read(stack.env["TIDEGATE_CONFIG"])
        make_certificate(folder / "site", 30)
        self.configure(**{"http.listen": f"127.0.0.1:{self.port}", "http.admin_listen": f"127.0.0.1:{admin_port}",
                          "http.tls_cert": folder / "site.crt", "http.tls_key": folder / "site.key",
                          "http.access_log": "all"})
        self.environment["TIDEGATE_CONFIG"] = str(folder / "gateway.ini")

    def configure(self, **settings):
        for name, value in settings.items():
            self.ini["gateway"][name] = str(value)
        with open(self.folder / "gateway.ini", "w", encoding="utf-8") as file:
            self.ini.write(file)

    def __enter__(self):
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen([str(self.stack.bin / "tidegate-gateway")], env=self.environment,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self.wait_ready()

    def lines(self, event, **fields):
        """The log's lines of an event with these fields."""
        found = []
        for text in (self.folder / "log").read_text(encoding="utf-8").splitlines(keepends=True):
            line = json.loads(text) if text.endswith("}\n") else {}
            if line.get("event") == event and all(line.get(name) == value for name, value in fields.items()):
                found.append(line)
        return found

    def wait_line(self, event, **fields):
        return until(lambda: self.lines(event, **fields), 5, f"the log has {event} {fields}")[-1]

    def api(self, key=None):
        api = Api(self.url, key)
        api.session.verify = str(self.folder / "site.crt")
        return api

    def connect(self):
        context = ssl.create_default_context(cafile=self.folder / "site.crt")
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout=20),
                                   server_hostname="127.0.0.1")

    def certificate_ends(self):
        return metrics.read(self.admin)["tidegate_http_certificate_not_after_seconds"]


@pytest.fixture
def gateway(stack, tmp_path):
    with Gateway(stack, tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def admin_key(stack):
    return stack.cli("admin", "bootstrap", "--expires", "1h")


def test_events_go_in_and_answers_come_out_over_tls(gateway, tenant):
    api = gateway.api(tenant.key)
    until(lambda: api.get("/v1/kpi/minute").status_code == 200, 3, "this gateway knows the key, too")
    answer = api.get("/v1/kpi/latest?x=not-in-the-log", probe=1)
    assert answer.status_code == 400
    line = gateway.wait_line("request", request_id=answer.headers["X-Request-Id"])
    assert (line["method"], line["status"], line["http"], line["tls"]) == ("GET", 400, "1.1", "TLSv1.3")
    assert (line["tenant"], line["key"], line["client"]) == (tenant.id, tenant.key[3:15], "127.0.0.1")
    assert line["route"].startswith("/v1/kpi/") and re.fullmatch("[0-9a-f]{32}", line["trace_id"])
    assert 0 <= line["queue_ms"] + line["upstream_ms"] <= line["ms"] < 20000 and line["bytes_out"] > 100
    wrong = gateway.api(tenant.key[:-1] + "_").get("/v1/kpi/latest")
    assert gateway.wait_line("request", request_id=wrong.headers["X-Request-Id"])["code"] == "invalid_key"
    text = (gateway.folder / "log").read_text(encoding="utf-8")
    assert tenant.key[15:] not in text and "not-in-the-log" not in text and "PRIVATE" not in text


def test_the_guard_stands_behind_tls_and_plain_http_is_told(gateway):
    with gateway.connect() as client:
        client.sendall(b"POST /v1/events/x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
                       b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1") == 1
    plain = requests.get(f"http://127.0.0.1:{gateway.port}/health", timeout=20)
    assert plain.status_code == 400 and "https" in plain.text


def test_a_new_certificate_is_taken_and_a_bad_one_is_not(gateway):
    kept = gateway.api()
    assert kept.get("/health").status_code == 200
    first = gateway.certificate_ends()
    make_certificate(gateway.folder / "site", 90)
    gateway.signal(signal.SIGHUP)
    gateway.wait_line("reloaded", changed="certificate")
    until(lambda: gateway.certificate_ends() - first > 59 * 86400, 5, "the new certificate's end is told")
    assert kept.get("/health").status_code == 200  # on its connection
    assert gateway.api().get("/health").status_code == 200  # verified by the new one
    (gateway.folder / "site.key").write_text("no key")
    gateway.signal(signal.SIGHUP)
    assert "site.key" in gateway.wait_line("reload_failed")["reason"]
    assert gateway.api().get("/health").status_code == 200
    assert gateway.certificate_ends() - first > 59 * 86400


def test_settings_change_whole_or_not_at_all(gateway, admin_key, tenant):
    admin, api = gateway.api(admin_key), gateway.api(tenant.key)

    def reload():
        answer = admin.request("POST", "/admin/v1/reload")
        return answer.status_code, answer.json()

    until(lambda: admin.get("/admin/v1/limits").status_code == 200, 3, "the gateway knows the bootstrap key")
    until(lambda: api.get("/v1/kpi/latest").status_code == 200, 3, "and the tenant's")
    assert reload() == (200, {"changed": [], "audited": True})
    gateway.configure(**{"deprecations": DEPRECATED, "http.threads": 7})
    status, refusal = reload()
    assert (status, refusal["code"]) == (409, "reload_refused")
    assert "http.threads" in refusal["detail"] and "restart" in refusal["detail"]
    assert "Sunset" not in api.get("/v1/kpi/latest").headers
    gateway.configure(**{"http.threads": 1, "deprecations": "/v1/kpi/* soon"})
    assert reload()[0] == 409
    gateway.configure(**{"deprecations": DEPRECATED, "log.level": "debug"})
    assert reload() == (200, {"changed": ["deprecations", "log.level"], "audited": True})
    assert "Sunset" in api.get("/v1/kpi/latest").headers
    noted = admin.read("/admin/v1/audit", action="gateway.reload", limit=1)["items"][0]
    assert noted["actor"] == "key:" + admin_key[3:15] and noted["after"] == {"changed": ["deprecations", "log.level"]}
    assert api.request("POST", "/admin/v1/reload").status_code == 403


def test_the_end_loses_no_request_over_tls(gateway, tenant):
    """SIGTERM under load, with reloads and handshakes under way: whoever got a connection gets an answer."""
    def one_by_one(_):
        lost = done = 0
        while True:
            try:
                client = gateway.connect()
            except ConnectionRefusedError:
                return done, lost
            except (ssl.SSLError, OSError):  # the handshake met the end: nothing was asked yet
                continue
            with contextlib.closing(client):
                try:
                    client.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    answer = b"".join(iter(lambda c=client: c.recv(65536), b""))
                except (ssl.SSLError, OSError):
                    answer = b""
            done, lost = done + 1, lost + (not answer.startswith(b"HTTP/1.1 200 "))

    silent = socket.create_connection(("127.0.0.1", gateway.port))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(one_by_one, n) for n in range(4)]
        until(lambda: metrics.read(gateway.admin)['tidegate_http_tls_handshakes_total{result="ok"}'] > 40, 20, "load")
        gateway.signal(signal.SIGHUP)
        assert gateway.terminate() == 0
        results = [each.result() for each in clients]
    silent.close()
    assert sum(done for done, _ in results) >= 40 and sum(lost for _, lost in results) == 0
    assert gateway.lines("stopped", requests_cut=0)
