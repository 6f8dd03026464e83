"""What the fault tests share."""

import pytest
import requests
from lib.stack import SERVICES
from lib.waiting import until


@pytest.fixture(autouse=True)
def recovered(stack):
    """A test begins when all services are over what the test before did to them."""
    for service in SERVICES:
        until(lambda name=service: requests.get(stack.admin(name) + "/ready", timeout=5).status_code == 200, 30,
              f"{service} is ready")


@pytest.fixture
def without_worker(stack):
    """The stack's worker is away during the test, which runs its own."""
    stack.stop("worker")
    yield
    stack.start("worker")
