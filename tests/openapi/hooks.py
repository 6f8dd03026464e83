"""What schemathesis cannot know: how lines of JSON are written, and whom the admin API may change here. It reuses
ids that it has seen in answers; whatever could be somebody's becomes the test's own (TIDEGATE_OWN_…)."""

import json
import os
import re

import schemathesis

OWN = {"/tenants/{id}": (r"[a-z0-9][a-z0-9-]{0,62}", "TIDEGATE_OWN_TENANT"),
       "/keys/{id}": (r"[0-9A-Za-z]{12}", "TIDEGATE_OWN_KEY"),
       "/plans/{name}": (r"[a-z0-9][a-z0-9-]{0,62}", "TIDEGATE_OWN_PLAN")}


@schemathesis.serializer("application/x-ndjson")
def serialize_lines(_context, value):
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


@schemathesis.hook
def before_call(_context, case, _kwargs):
    for part, (name, variable) in OWN.items():
        if case.path.startswith(f"/admin/v1{part}") and case.method.upper() != "GET":
            for parameter, value in case.path_parameters.items():
                if re.fullmatch(name, str(value)):
                    case.path_parameters[parameter] = os.environ[variable]
    if case.path.startswith("/admin/v1/breakers/"):
        case.path_parameters["instance"] = "127.0.0.1:1"  # none: the stack's own serve other tests
    if case.query:
        case.query.pop("on_invalid", None)  # would have taken what is wrong


# What any answer may have: of HTTP itself, or the browser's.
COMMON = {"connection", "date", "server", "content-type", "content-length", "content-encoding", "transfer-encoding",
          "cache-control", "vary", "x-content-type-options"}


@schemathesis.check
def described_headers(_context, response, case):
    """Whatever else is sent has a description."""
    described = case.operation.responses.find_by_status_code(response.status_code)
    if described is None:
        return  # another check's
    known = COMMON | {name.lower() for name, _ in described.headers.items()}
    sent = {name.lower() for name in response.headers}
    assert sent <= known, f"not described for {response.status_code}: {', '.join(sorted(sent - known))}"
