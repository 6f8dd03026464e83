"""These tests have a stack of their own, or none."""

import pytest


@pytest.fixture(autouse=True)
def recovered():
    """In place of the fault tests' wait for the shared stack."""
