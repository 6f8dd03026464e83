"""What the fault tests share."""

import pytest


@pytest.fixture
def without_worker(stack):
    """The stack's worker is away during the test, which runs its own."""
    stack.stop("worker")
    yield
    stack.start("worker")
