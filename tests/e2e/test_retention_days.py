"""A tenant's retention at both ends: what is older is refused at the door, and what grows older goes."""

import contextlib
import datetime

import pytest
from lib import events, metrics
from lib.process import Service
from lib.waiting import until

DAY = datetime.timedelta(days=1)


@pytest.fixture
def brief(tenant):
    """Keeps a day before today, and the gateway knows: by a strict batch, of which nothing is stored."""
    tenant.stack.cli("tenant", "update", tenant.id, "--limits", "retention_days=1")
    batch = [events.promised(events.now() - 3 * DAY)["order"], {"bogus": 1}]
    until(lambda: tenant.api.request("POST", "/v2/events?type=order&strict=true", json=batch).json()["items"][0]
          .get("code") == "too_old", 3, "the gateway knows the limit")
    return tenant


def midnight(days_ago):
    return events.now().replace(hour=0, minute=0, second=0, microsecond=0) - days_ago * DAY


def test_what_is_older_is_refused_in_every_form(brief, other):
    kept = events.promised(midnight(1))["order"]
    late = {**events.promised(midnight(1) - datetime.timedelta(seconds=1))["order"], "order_id": "late"}
    brief.api.accept("order", kept)
    alone = brief.api.request("POST", "/v1/events/order?on_invalid=reject", json=late)  # a parameter: not bundled
    bundled = brief.api.post("order", late)
    for answer in (alone, bundled):
        assert answer.status_code == 422
        error = answer.json()["error"]
        assert (error["code"], error["field"]) == ("too_old", "event_time")
    batch = brief.api.request("POST", "/v2/events?type=order", json=[late, {**kept, "order_id": "second"}])
    assert [item["status"] for item in batch.json()["items"]] == ["rejected", "accepted"]
    assert batch.json()["items"][0]["code"] == "too_old"
    other.api.accept("order", late)
    other.wait_for(1)
    brief.wait_for(2)
    brief.check_folds()


@contextlib.contextmanager
def eager_worker(stack):
    """In place of the stack's own: sweeps all the time."""
    stack.stop("worker")
    try:
        with Service(stack, "worker", retention_interval="1s", maintenance_interval="200ms") as worker:
            worker.wait_ready()
            yield worker
            worker.terminate()  # it leaves its group, and nobody waits for it to be missed
    finally:
        stack.start("worker")


def test_what_has_grown_older_goes_at_all_levels(tenant, other, stack):
    for day in range(4):
        for sender in (tenant, other):
            sender.api.accept("order", {**events.promised(events.now() - day * DAY)["order"], "order_id": f"o-{day}"})
    tenant.wait_for(4)
    other.wait_for(4)
    stack.cli("tenant", "update", tenant.id, "--limits", "retention_days=1")
    with eager_worker(stack) as worker:
        until(lambda: len(tenant.events()) == 2, 10, "the older two are gone")
        until(lambda: tenant.check_folds() is None, 5, "so are their hours and days")
        name = 'tidegate_worker_retention_rows_total{table="events"}'
        until(lambda: metrics.read(worker.admin)[name] >= 2, 5, "the worker counts what it deletes")
    assert len(other.events()) == 4
    other.check_folds()
