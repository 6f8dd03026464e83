"""A tenant of a test's own, so that no test sees another's events."""

import uuid

from lib.api import Api
from lib.waiting import until

PLAN = "tests"  # without limits that a test could meet by chance
ALL_SCOPES = "ingest,read,manage,registry"


def make_plan(stack):
    stack.cli("plan", "set", PLAN, "--requests-per-second", "100000", "--burst", "200000")


class Tenant:
    def __init__(self, stack, store, scopes=ALL_SCOPES):
        self.stack = stack
        self.store = store
        self.id = f"t-{uuid.uuid4().hex[:12]}"
        stack.cli("tenant", "create", self.id, "--plan", PLAN)
        self.key = self.make_key(scopes)
        self.api = Api(stack.url, self.key)

    def make_key(self, scopes=ALL_SCOPES):
        """A further key that the gateway already knows."""
        key = self.stack.cli("key", "create", "--tenant", self.id, "--scopes", scopes)
        probe = Api(self.stack.url, key)
        # A question that is refused behind the gateway, so that no answer of this tenant is cached yet.
        until(lambda: probe.get("/v1/kpi/latest", probe=1).status_code not in (401, 429, 503), 5,
              "the gateway knows the new key")
        return key

    def events(self):
        return self.store.events(self.id)

    def wait_for(self, count, seconds=15):
        """Waits for exactly so many stored events; their rows."""
        return self.store.wait_for(self.id, count, seconds)

    def check_folds(self):
        self.store.check_folds(self.id)
