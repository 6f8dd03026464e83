"""The headers of answers: what a platform announces, what is left of a plan, when to come back; each of them is described
wherever it may be sent. (hooks.py looks for undescribed ones in all that schemathesis gets.)"""

import re

import pytest
import requests
from lib.api import Api
from lib.process import Service, free_port

ANNOUNCED = {"Deprecation", "Link", "Sunset"}
LIMITS = {"RateLimit", "RateLimit-Policy"}


def responses(description):
    """(operation, status, its headers' descriptions)"""
    components = description["components"]
    for path, item in description["paths"].items():
        for method, operation in item.items():
            if operation.get("security") == []:  # open to all: the gateway's own word
                continue
            for status, response in operation["responses"].items():
                if "$ref" in response:
                    response = components["responses"][response["$ref"].rsplit("/", 1)[1]]
                headers = response.get("headers", {})
                yield f"{method.upper()} {path}", status, {
                    name: components["headers"][header["$ref"].rsplit("/", 1)[1]] for name, header in headers.items()}


@pytest.mark.parametrize("name", ["v1", "v2", "admin"])
def test_every_answer_describes_its_headers(descriptions, name):
    for operation, status, headers in responses(descriptions[name]):
        wanted = {"X-Request-Id"}
        if name != "admin":
            wanted |= ANNOUNCED
        if status not in ("401", "403"):  # who asks is not known yet, or may not
            wanted |= LIMITS
        if status in ("429", "503"):
            wanted.add("Retry-After")
        if status == "401":
            wanted.add("WWW-Authenticate")
        assert wanted <= set(headers), (operation, status)


@pytest.fixture(scope="module")
def announcing(stack):
    """Another gateway on the same stack, that announces the end of all of v1's KPIs."""
    port = free_port()
    with Service(stack, "gateway", own_ports=True, http_listen=f"127.0.0.1:{port}",
                 deprecations="/v1/kpi/* 2026-12-01 2027-06-30 /v2/query") as service:
        service.wait_ready()
        yield f"http://127.0.0.1:{port}"


def test_what_is_announced_is_as_described(announcing, tenant, descriptions):
    api = Api(announcing, tenant.key)
    described = {(operation, status): headers for operation, status, headers in responses(descriptions["v1"])}
    for answer in (api.get("/v1/kpi/latest"), api.get("/kpi/latest?bucket=week"),
                   requests.get(f"{announcing}/api/v1/kpi/latest", timeout=20)):
        headers = described["GET /v1/kpi/latest", str(answer.status_code)]
        assert answer.status_code in (200, 400, 401)
        for name in ANNOUNCED:
            assert re.search(headers[name]["schema"]["pattern"], answer.headers[name]), name
            assert answer.headers[name] == headers[name]["example"]
    assert not ANNOUNCED & set(api.get("/v1/signals").headers)
