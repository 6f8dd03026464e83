"""The descriptions in openapi/, and who schemathesis calls the running stack as."""

import json

import pytest
from lib.stack import ROOT

NAMES = ("v1", "v2", "admin")


@pytest.fixture(scope="session")
def descriptions():
    return {name: json.loads((ROOT / "openapi" / f"{name}.json").read_text(encoding="utf-8")) for name in NAMES}
