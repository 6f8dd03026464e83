"""The registry under test: directly as an operator, and through the gateway as a tenant."""

import pytest
from lib.registry import Registry, Table, unique


def operator_of(stack):
    settings = stack.settings("registry")
    return settings.get("operator.user", "operator"), settings["operator.password"]


@pytest.fixture(scope="session")
def operator(stack):
    """(user, password) of the stack's operator."""
    return operator_of(stack)


@pytest.fixture(scope="session")
def registry(stack, operator):
    return Registry(stack.upstream("registry"), auth=operator)


@pytest.fixture
def context(stack, operator):
    """A context of the test's own, so that its configuration and mode are nobody else's: (name, Registry)."""
    name = unique(".c")
    return name, Registry(f"{stack.upstream('registry')}/contexts/:{name}:", auth=operator)


@pytest.fixture
def table(registry):
    return Table(registry)


def tenants_registry(stack, key):
    return Registry(f"{stack.url}/v2/registry", auth=("any", key))


@pytest.fixture
def own(stack, tenant):
    """The registry as a tenant sees it."""
    return tenants_registry(stack, tenant.key)


@pytest.fixture
def others(stack, other):
    """The registry as another tenant sees it."""
    return tenants_registry(stack, other.key)
