"""A client of the public API that says what came when an answer is not the expected one."""

import collections
import json

import requests

Error = collections.namedtuple("Error", "status code field message")

JSON = {"Content-Type": "application/json"}


def error_of(response):
    """An error in v1's, v2's or Confluent's shape, as one."""
    body = response.json()
    if "error" in body:
        body = body["error"]
        return Error(response.status_code, body["code"], body.get("field"), body["message"])
    if "error_code" in body:
        return Error(response.status_code, body["error_code"], None, body["message"])
    assert body["status"] == response.status_code
    return Error(response.status_code, body["code"], body.get("field"), body["detail"])


class Api:
    def __init__(self, base, key=None, headers=None):
        self.base = base
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.update(headers or {})
        if key is not None:
            self.session.headers["X-API-Key"] = key

    def request(self, method, path, **options):
        return self.session.request(method, self.base + path, timeout=20, **options)

    def get(self, path, **params):
        return self.request("GET", path, params=params)

    def read(self, path, **params):
        """The JSON of a GET that must succeed."""
        response = self.get(path, **params)
        assert response.status_code == 200, f"{path} {params}: {response.status_code} {response.text}"
        return response.json()

    def items(self, path, **params):
        return self.read(path, **params)["items"]

    def post(self, event_type, event, headers=None, prefix="/v1"):
        """One event, as an object, or as bytes that go out as they are."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        return self.request("POST", f"{prefix}/events/{event_type}", data=body,
                            headers={**JSON, **(headers or {})})

    def accept(self, event_type, event, headers=None, prefix="/v1"):
        """Sends one event that must be accepted; the answer."""
        response = self.post(event_type, event, headers, prefix)
        assert response.status_code == 202, f"{event_type} {event}: {response.status_code} {response.text}"
        return response.json()

    def batch(self, items, headers=None, **params):
        """Events as (type, body) pairs, or as they go out (bytes)."""
        body = items if isinstance(items, bytes) else json.dumps(
            [{"type": kind, "data": event} for kind, event in items]).encode()
        return self.request("POST", "/v2/events", data=body, params=params,
                            headers={**JSON, **(headers or {})})
