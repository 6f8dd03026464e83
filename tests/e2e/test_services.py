"""What each service says about itself, and what all of them do alike."""

import re
import subprocess
import uuid

import pytest
import requests
from lib import events, metrics
from lib.stack import SERVICES
from lib.waiting import until


@pytest.mark.parametrize("service", SERVICES)
def test_health_ready_and_metrics(stack, service):
    admin = stack.admin(service)
    assert requests.get(admin + "/health", timeout=5).json() == {"status": "ok"}
    ready = requests.get(admin + "/ready", timeout=5)
    assert (ready.status_code, ready.json()["ready"], ready.json()["draining"]) == (200, True, False)
    assert all(dependency["ready"] for dependency in ready.json()["dependencies"])
    samples = metrics.read(admin)
    assert any(name.startswith(f"tidegate_{service}_") for name in samples)
    assert requests.get(admin + "/nothing", timeout=5).status_code == 404
    assert requests.post(admin + "/metrics", timeout=5).status_code == 405


def test_the_gateway_is_healthy_for_everybody(stack):
    assert requests.get(stack.url + "/health", timeout=5).status_code == 200
    assert requests.get(stack.url + "/ready", timeout=5).json()["ready"] is True


def test_an_event_is_counted_on_its_way(stack, tenant):
    read = lambda: {service: metrics.read(stack.admin(service)) for service in SERVICES}
    before = read()
    tenant.api.accept("order", events.promised(events.now())["order"])
    tenant.wait_for(1)
    tenant.api.items("/v1/kpi/minute")
    tenant.api.post("order", b"{")
    expected = {("gateway", 'tidegate_gateway_auth_total{result="ok"}'): 3,
                ("gateway", 'tidegate_gateway_upstream_total{upstream="ingestion",result="ok"}'): 2,
                ("ingestion", 'tidegate_ingestion_events_total{result="accepted"}'): 1,
                ("ingestion", 'tidegate_ingestion_rejected_total{reason="invalid_json"}'): 1,
                ("worker", 'tidegate_worker_events_total{result="stored"}'): 1,
                ("query", 'tidegate_query_database_total{result="ok"}'): 1}

    def grown():
        after = read()
        for (service, name), least in expected.items():
            assert after[service][name] - before[service][name] >= least, name
        return True
    until(grown, 5, "the counters have grown")


def test_a_request_id_is_kept_or_made(tenant):
    given = tenant.api.request("GET", "/v1/kpi/minute", headers={"X-Request-Id": "my-id.1"})
    assert given.headers["X-Request-Id"] == "my-id.1"
    made = tenant.api.request("GET", "/v1/kpi/minute", headers={"X-Request-Id": 'x" bad'})
    assert re.fullmatch(r"[0-9a-f]{16}", made.headers["X-Request-Id"])
    error = tenant.api.post("order", b"{", headers={"X-Request-Id": "for-the-error"})
    assert error.json()["error"]["request_id"] == "for-the-error"


def test_the_trace_goes_through_kafka(tenant, topics):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    body = events.promised(events.now())["order"]
    answer = tenant.api.accept("order", body, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    record = topics.find_event("events.order", uuid.UUID(answer["event_id"]))
    given = dict(record.headers())
    assert given["traceparent"].decode().split("-")[1] == trace
    assert given["tg-tenant"].decode() == tenant.id
    assert record.key().decode() == f"{tenant.id}/order/USD/web"
    assert record.value()[0] == 0


@pytest.mark.parametrize("service", SERVICES)
def test_help_and_bad_settings(stack, service):
    program = str(stack.bin / f"tidegate-{service}")
    told = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=5, check=True).stdout
    assert "http.admin_listen" in told and "log.level" in told
    bad = subprocess.run([program, "--log.level=loud"], capture_output=True, text=True, timeout=5,
                         env={"TIDEGATE_CONFIG": stack.env["TIDEGATE_CONFIG"]}, check=False)
    assert bad.returncode != 0
    text = (bad.stdout + bad.stderr).strip()
    assert "log.level" in text and len(text.splitlines()) == 1
