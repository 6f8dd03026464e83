"""Minutes, hours and days are exactly the fold of the rows, on commit and after maintenance, late or not."""

import datetime
import random

from lib import events
from lib.events import rfc3339
from lib.waiting import until

HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)


def send_all(tenant, batch):
    for start in range(0, len(batch), 500):
        answer = tenant.api.batch(batch[start:start + 500])
        assert answer.status_code == 202, answer.text
        assert answer.json()["accepted"] == len(batch[start:start + 500]), answer.json()


def wait_rolled_up(tenant):
    """Until maintenance has been over all closed hours and days of the tenant."""
    def no_marks():
        return tenant.store.owner.one(
            "SELECT (SELECT count(*) FROM data.touched_hours WHERE tenant_id = %s"
            " AND hour <= now() - interval '1 hour') + (SELECT count(*) FROM data.touched_days"
            " WHERE tenant_id = %s AND day <= now() - interval '24 hours')", tenant.id, tenant.id) == 0
    # A worker that was killed before keeps the lease of maintenance for 30 s.
    until(no_marks, 45, "maintenance has rolled up all closed hours and days", every=0.1)


def test_every_level_is_the_fold_of_the_rows(tenant, seed):
    generator = events.Generator(seed, spread=5 * DAY)
    batch = [generator.next() for _ in range(2000)]
    send_all(tenant, batch)
    tenant.wait_for(2000)
    tenant.check_folds()

    wait_rolled_up(tenant)
    tenant.check_folds()
    assert tenant.store.owner.one("SELECT count(*) FROM data.metric_hour WHERE tenant_id = %s",
                                  tenant.id) > 0

    late = [generator.next() for _ in range(300)]  # into hours that are rolled up already
    send_all(tenant, late)
    tenant.wait_for(2300)
    tenant.check_folds()
    wait_rolled_up(tenant)
    tenant.check_folds()


def test_sums_are_exact_where_doubles_are_not(tenant, seed):
    rng = random.Random(seed)
    values = ([0.1] * 50 + [1e300, -1e300, 1e-300, 5e-324, 1.7976931348623157e308, -0.0, 2**53 + 2,
              123456789012345678, 0.30000000000000004] + [rng.uniform(-1e9, 1e9) for _ in range(50)])
    rng.shuffle(values)
    at = rfc3339(events.now())
    send_all(tenant, [("activity", {"event_id": f"e-{n}", "user_id": "u", "event_type": "purchase",
                                    "page": "/p", "ts": at, "amount": value})
                      for n, value in enumerate(values)])
    tenant.wait_for(len(values))
    tenant.check_folds()


def test_events_of_any_age_count_up_to_the_horizon(tenant):
    now = events.now()
    ages = [9 * datetime.timedelta(minutes=-1), DAY, 30 * DAY, 200 * DAY, 399 * DAY]
    for number, age in enumerate(ages):
        tenant.api.accept("order", {**events.promised(now - age)["order"], "order_id": f"o-{number}"})
    tenant.wait_for(len(ages))
    tenant.check_folds()
    for age, code in ((401 * DAY, "too_old"), (-11 * datetime.timedelta(minutes=1), "too_far_ahead")):
        response = tenant.api.post("order", events.promised(now - age)["order"])
        assert response.status_code == 422
        error = response.json()["error"]
        assert (error["code"], error["field"]) == (code, "event_time")


def test_one_batch_over_more_days_than_a_transaction_may_touch(tenant):
    now = events.now()
    batch = [("reading", {"device_id": "d", "metric": "m", "value": day,
                          "ts": rfc3339(now - day * 2 * DAY)}) for day in range(150)]
    send_all(tenant, batch)
    tenant.wait_for(150, seconds=30)
    tenant.check_folds()


def test_times_are_understood_in_any_form(tenant):
    at = (events.now() - 10 * DAY).replace(hour=12, minute=30, second=15, microsecond=123456)
    seconds, day = int(at.timestamp()), f"{at:%Y-%m-%d}"
    forms = {
        f"{day}T12:30:15.123456Z": at, f"{day}T14:30:15.123456+02:00": at,
        f"{day}T07:00:15.123456-05:30": at, f"{day}t12:30:15.123456z": at,
        f"{day}T12:30:15.123456789Z": at, f"{day}T12:30:15.1Z": at.replace(microsecond=100000),
        f"{day}T12:30:15Z": at.replace(microsecond=0), seconds: at.replace(microsecond=0),
        seconds * 1000 + 123: at.replace(microsecond=123000), seconds * 1000000 + 123456: at,
    }
    answers = {tenant.api.accept("order", {**events.promised(at)["order"], "event_time": form,
                                           "order_id": f"o-{number}"})["event_id"]: expected
               for number, (form, expected) in enumerate(forms.items())}
    rows = tenant.wait_for(len(forms))
    assert {str(row.event_id): row.occurred_at for row in rows} == answers


def test_running_viewers_follow_joins_and_leaves(tenant):
    kinds = ["viewer_join"] * 7 + ["viewer_leave"] * 3 + ["chat_message"] * 2
    batch = [("stream", {"event_id": f"e-{n}", "event_type": kind, "stream_id": "s", "user_id": "u"})
             for n, kind in enumerate(kinds)]
    send_all(tenant, batch)
    send_all(tenant, batch)  # again: nothing may count twice
    tenant.wait_for(len(kinds))
    tenant.check_folds()
    assert tenant.store.viewers(tenant.id)[0] == {"s": 4}
    until(lambda: tenant.api.items("/v1/streams/top", by="active_viewers") == [
        {"stream_id": "s", "active_viewers": 4}], 3, "4 viewers in /v1/streams/top")


def test_more_leaves_than_joins_never_show_as_less_than_nobody(tenant):
    send_all(tenant, [("stream", {"event_id": "e", "event_type": "viewer_leave", "stream_id": "s",
                                  "user_id": "u"})])
    tenant.wait_for(1)
    (item,) = until(lambda: tenant.api.items("/v1/metrics"), 3, "the stream's minute")
    assert item["active_viewers"] == 0
