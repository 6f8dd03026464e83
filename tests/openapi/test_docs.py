"""What the gateway serves of itself: the descriptions, byte for byte, and the page that shows them."""

import json
import pathlib
import re
import shutil
import subprocess

import pytest
import requests
from lib.api import Api
from lib.stack import ROOT

FILES = {"/openapi/v1.json": ROOT / "openapi/v1.json", "/openapi/v2.json": ROOT / "openapi/v2.json",
         "/openapi/admin.json": ROOT / "openapi/admin.json", "/docs": ROOT / "gateway/docs/page.html",
         "/docs/page.js": ROOT / "gateway/docs/page.js", "/docs/page.css": ROOT / "gateway/docs/page.css"}


@pytest.fixture(scope="module")
def anybody(stack):
    return Api(stack.url)


@pytest.mark.parametrize("path", FILES)
def test_a_file_is_served_to_all_as_it_is(anybody, path):
    plain = {"Accept-Encoding": "identity"}
    answer = anybody.request("GET", path, headers=plain)
    assert answer.status_code == 200
    assert answer.content == FILES[path].read_bytes() == anybody.get(path).content
    assert answer.headers["Content-Length"] == str(len(answer.content))
    again = anybody.request("GET", path, headers={**plain, "If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", answer.headers["ETag"])
    other = anybody.request("GET", path, headers={"If-None-Match": '"0000000000000000"'})
    assert other.status_code == 200
    assert anybody.request("HEAD", path, headers=plain).headers["ETag"] == answer.headers["ETag"]
    assert anybody.request("POST", path).status_code == 405


def test_the_page_may_load_nothing_from_elsewhere(anybody):
    policy = anybody.get("/docs").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    for path in ("/docs", "/docs/page.js", "/docs/page.css"):
        addresses = re.findall(r"""(?:src|href|url\(|import|fetch\()[=\s"'(`]*(?:https?:)?//[^\s"')]+""", anybody.get(path).text)
        assert addresses == []


def node():
    place = subprocess.run([ROOT / "tests/fetch", "path", "node"], capture_output=True, text=True, check=True).stdout
    found = list(pathlib.Path(place).glob("node_modules/node-linux-*/bin/node"))
    assert found, f"{place} is missing: run tests/fetch (make test does)"
    return found[0]


@pytest.mark.parametrize("name", ["v1", "v2", "admin"])
def test_the_page_shows_every_operation(descriptions, name):
    done = subprocess.run([node(), pathlib.Path(__file__).parent / "page.js", ROOT / "gateway/docs/page.js",
                           ROOT / f"openapi/{name}.json"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    description = descriptions[name]
    assert shown["title"] == description["info"]["title"]
    operations = [(path, method, operation) for path, item in description["paths"].items()
                  for method, operation in item.items()]
    assert len(shown["cards"]) == len(operations) == len({card["id"] for card in shown["cards"]})
    assert sorted(shown["links"]) == sorted(f"#{card['id']}" for card in shown["cards"])
    assert "undefined" not in shown["text"]
    assert "[object" not in shown["text"]
    for path, method, operation in operations:
        (card,) = [c["text"] for c in shown["cards"] if f"{method.upper()} {path} {operation['summary']}" in c["text"]]
        for status in operation["responses"]:
            assert f" {status} " in card
        for parameter in operation.get("parameters", []):
            if "name" in parameter:
                assert parameter["name"] in card


def in_a_browser(address, folder):
    """The page's document once its script has run, and what the browser's console said."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    done = subprocess.run(["nice", browser, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}",
                           "--enable-logging=stderr", "--virtual-time-budget=10000", "--dump-dom", address],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line
                         and "Password field is not contained" not in line]  # a hint: there is nothing to submit


@pytest.mark.parametrize("name", ["v1", "v2", "admin"])
def test_a_browser_shows_every_operation_and_opens_the_one_of_the_address(stack, descriptions, name, tmp_path):
    path, item = list(descriptions[name]["paths"].items())[-1]
    target = re.sub("[^A-Za-z0-9]+", "-", f"{next(iter(item))}{path}")
    document, console = in_a_browser(f"{stack.url}/docs?api={name}#{target}", tmp_path)
    assert console == []
    cards = re.findall(r'<details class="operation" id="([^"]+)"( open="")?>', document)
    assert len(cards) == sum(len(methods) for methods in descriptions[name]["paths"].values())
    assert [card for card, is_open in cards if is_open] == [target]
    assert f'href="#{target}" title=' in document
    assert document.count('aria-current="location"') == 1


def requests_of(description):
    """(method, path, content type, name, value) of each example of a body."""
    for path, item in description["paths"].items():
        for method, operation in item.items():
            for kind, media in operation.get("requestBody", {}).get("content", {}).items():
                for name, example in media.get("examples", {}).items():
                    yield method.upper(), path, kind, name, example["value"]


def test_the_examples_of_events_are_accepted(tenant, descriptions):
    sent = 0
    for name in ("v1", "v2"):
        for method, path, kind, example, value in requests_of(descriptions[name]):
            if "/events" not in path:
                continue
            body = value if isinstance(value, str) else json.dumps(value)
            answer = tenant.api.request(method, path.replace("{type}", example), data=body.encode(),
                                        headers={"Content-Type": kind})
            assert answer.status_code == 202, f"{path} {example}: {answer.text}"
            assert "rejected\":1" not in answer.text
            sent += 1
    assert sent == 10


def test_the_examples_of_the_registry_are_accepted(tenant, stack, descriptions):
    for method, path, kind, example, value in requests_of(descriptions["v2"]):
        if "/registry/" not in path:
            continue
        subject = "visit-value" if example == "reference" else "page-value"
        path = path.replace("{subject}", subject).replace("{version}", "latest")
        if path.endswith(f"/subjects/{subject}") or path.endswith("latest"):  # asks for what is registered
            tenant.api.request("POST", f"/v2/registry/subjects/{subject}/versions", json=value)
        answer = requests.request(method, stack.url + path, json=value, auth=("", tenant.key), timeout=20,
                                  headers={"Content-Type": kind})
        assert answer.status_code == 200, f"{method} {path} {example}: {answer.text}"
        if "/mode" in path:
            assert tenant.api.request("DELETE", path).status_code == 200
