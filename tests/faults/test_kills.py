"""kill -9 of everything but the worker (which has its own file), under load: requests may be cut, but what was
acknowledged is there exactly once, and what was not can be sent again with the same id."""

import pytest
from lib.load import CUT, REFUSED, Load
from lib.waiting import until


@pytest.mark.parametrize("name", ["gateway", "ingestion", "registry", "query", "kafka", "postgres", "redis"])
def test_killed_and_started_again(stack, store, tenant, topics, seed, name):
    with Load(tenant, seed, pause=0.01) as load:
        until(lambda: len(load.acknowledged) > 300, 15, "the load runs")
        try:
            stack.command("kill", name)
        finally:
            stack.start(name)
        before = len(load.acknowledged)
        until(lambda: len(load.acknowledged) > before + 200, 20, f"events are taken again: {load.statuses()}")
    told = set(load.statuses()) - {202}
    assert told <= {"gateway": {CUT, REFUSED, 503}, "ingestion": {502, 503}, "kafka": {503}}.get(name, set()), (
        load.refusals())
    store.wait_drained(topics, seconds=40)
    store.check_ledger(tenant.id, load.acknowledged)
    until(lambda: tenant.api.get("/v1/kpi/minute").status_code == 200, 15, "queries answer")
