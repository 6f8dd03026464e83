"""The stack that all end-to-end and fault tests share, and a tenant for each of them.

A stack that runs already (tools/test starts it) is used and left; else it is started and stopped. No test
may leave it in another state than it found it in: each fault is undone in the test that made it."""

import os
import time

import pytest
from lib.api import Api
from lib.stack import Stack
from lib.store import Store
from lib.tenants import Tenant, make_plan
from lib.topics import Topics

ENGINE = pytest.StashKey()
SEED = pytest.StashKey()
DAY = 86400  # seconds
LAST = 30  # seconds of a day in which no test begins


@pytest.fixture(autouse=True)
def within_one_day():
    """Partitions, retention and the day level turn at midnight UTC; what a test calls today stays so until its end."""
    left = DAY - time.time() % DAY
    if left < LAST:
        time.sleep(left)


@pytest.fixture(scope="session")
def stack():
    under_test = Stack()
    found = under_test.is_up()
    under_test.up()
    make_plan(under_test)
    yield under_test
    if not found:
        under_test.down()


@pytest.fixture(scope="session")
def store(stack, request):
    database = Store(stack.env["TIDEGATE_DSN"], stack.settings("query")["pg.dsn"])
    request.config.stash[ENGINE] = database.engine()
    yield database
    database.owner.close()


@pytest.fixture(scope="session")
def topics(stack):
    return Topics(stack.env["TIDEGATE_KAFKA"])


@pytest.fixture
def tenant(stack, store):
    return Tenant(stack, store)


@pytest.fixture
def other(stack, store):
    return Tenant(stack, store)


@pytest.fixture(scope="session")
def demo(stack):
    """A client of the demo tenant, for questions that leave nothing behind."""
    return Api(stack.url, stack.env["TIDEGATE_KEY"])


@pytest.fixture(scope="session")
def seed(request):
    """Of everything random; TIDEGATE_TEST_SEED repeats a run."""
    value = int(os.environ.get("TIDEGATE_TEST_SEED", int.from_bytes(os.urandom(4), "big")))
    request.config.stash[SEED] = value
    return value


def pytest_terminal_summary(terminalreporter, config):
    if ENGINE in config.stash:
        terminalreporter.write_line(f"store: {config.stash[ENGINE]}")
    if SEED in config.stash:
        terminalreporter.write_line(f"seed: TIDEGATE_TEST_SEED={config.stash[SEED]}")
