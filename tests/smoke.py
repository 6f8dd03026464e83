#!/usr/bin/python3
"""`make smoke`: the whole way of the running stack, with known numbers, check by check.

It uses the demo tenant: one donation to a stream of its own and one order in XTS, the currency code that ISO 4217
keeps for tests. Prints "ok NAME" for each check; at the first failure what is wrong and what to do, exit code 1."""

import datetime
import sys
import uuid
from decimal import Decimal

import requests
from lib import events, metrics
from lib.api import Api
from lib.stack import SERVICES, StackError, users_stack
from lib.store import Store
from lib.topics import Topics
from lib.waiting import until

EXPECTED_TOPICS = {**{f"events.{name}": 6 for name in (*events.TYPES, "custom")},
                   "events.dlq": 3, "anomalies": 3, "alerts": 3}


class Failure(Exception):
    def __init__(self, what, do):
        super().__init__(what)
        self.do = do


class Smoke:
    def __init__(self):
        self.stack = users_stack()
        self.store = Store(self.stack.env["TIDEGATE_DSN"], self.stack.settings("query")["pg.dsn"])
        self.topics = Topics(self.stack.env["TIDEGATE_KAFKA"])
        self.api = Api(self.stack.url, self.stack.env["TIDEGATE_KEY"])
        self.name = f"smoke-{uuid.uuid4().hex[:12]}"
        self.moment = events.now() - datetime.timedelta(minutes=1)
        self.donation = {"event_id": self.name, "ts": events.rfc3339(self.moment, 6), "event_type": "donation",
                         "stream_id": self.name, "user_id": "smoke", "amount_usd": 25.5}

    def check_services(self):
        for service in SERVICES:
            ready = requests.get(self.stack.admin(service) + "/ready", timeout=5)
            missing = [part["name"] for part in ready.json()["dependencies"] if not part["ready"]]
            if ready.status_code != 200:
                raise Failure(f"{service} is not ready: {', '.join(missing)}", f"make logs-{service}")
            if not metrics.read(self.stack.admin(service)):
                raise Failure(f"{service} has no metrics", f"make logs-{service}")
        return "health and metrics answer: " + ", ".join(SERVICES)

    def check_topics(self):
        found = {}
        for line in self.stack.cli("topics", "offsets").splitlines():
            words = line.split()
            found[words[0]] = found.get(words[0], 0) + 1
        wrong = {name: found.get(name, 0) for name, count in EXPECTED_TOPICS.items() if found.get(name) != count}
        if wrong:
            raise Failure(f"topics with another number of partitions than expected: {wrong}", "make reset")
        return f"{len(EXPECTED_TOPICS)} topics with {sum(EXPECTED_TOPICS.values())} partitions exist"

    def check_a_donation_advances_the_offsets(self):
        before = sum(self.topics.ends("events.stream"))
        self.api.accept("stream", self.donation)
        after = sum(self.topics.ends("events.stream"))
        if after <= before:
            raise Failure("a donation was acknowledged, but events.stream did not grow", "make logs-ingestion")
        self.store.wait_drained(self.topics, seconds=10)
        return f"a donation of 25.5 advances the offsets: events.stream from {before} to {after}, all of it stored"

    def check_recent_rows(self):
        rows = self.store.owner.one("SELECT count(*) FROM data.events WHERE processed_at > now() - interval '1 minute'")
        if rows == 0:
            raise Failure("no event was stored in the last minute", "make logs-worker")
        return f"{rows} rows of the last minute in {self.store.engine()}"

    def check_the_worker(self):
        samples = metrics.read(self.stack.admin("worker"))
        stored = samples['tidegate_worker_events_total{result="stored"}']
        lag = sum(value for name, value in samples.items() if name.startswith("tidegate_worker_consumer_lag"))
        if stored == 0:
            raise Failure("the worker has stored nothing", "make logs-worker")
        return f"the worker is healthy: {stored:.0f} events stored since its start, {lag:.0f} behind"

    def check_the_donations_sum(self):
        self.expect("/v1/metrics", {"stream_id": self.name}, "donations_usd", [Decimal("25.5")])
        return "GET /v1/metrics has the donation's sum: 25.5"

    def check_the_same_again_counts_once(self):
        self.api.accept("stream", self.donation)
        self.store.wait_drained(self.topics, seconds=10)
        rows = self.store.owner.one("SELECT count(*) FROM data.events WHERE entity = %s", self.name)
        if rows != 1:
            raise Failure(f"the same donation, sent twice, has {rows} rows", "report this: it must not happen")
        return "the same donation sent again changes nothing"

    def check_an_order(self):
        minute = events.rfc3339(self.moment.replace(second=0))
        window = {"from": minute, "currency": "XTS"}
        before = sum(self.numbers("/v1/kpi/minute", window, "revenue"))
        self.api.accept("order", {"order_id": self.name, "customer_id": "smoke", "amount": 120.5, "currency": "XTS",
                                  "channel": "smoke", "event_time": events.rfc3339(self.moment, 6)})
        until(lambda: sum(self.numbers("/v1/kpi/minute", window, "revenue")) == before + Decimal("120.5"), 5,
              f"revenue of {before + Decimal('120.5')} XTS")
        return f"GET /v1/kpi/minute has an order's revenue: from {before} to {before + Decimal('120.5')} XTS"

    def check_refusals(self):
        status = self.api.post("order", {"order_id": "x", "amount": "much"}).status_code
        closed = Api(self.stack.url, "tg_wrong").get("/v1/kpi/minute").status_code
        if (status, closed) != (422, 401):
            raise Failure(f"a wrong event got {status} (422 expected), a wrong key {closed} (401 expected)",
                          "make logs-gateway")
        return "a wrong event and a wrong key are refused"

    def numbers(self, path, params, member):
        return [Decimal(repr(item[member])) for item in self.api.items(path, **params)]

    def expect(self, path, params, member, numbers):
        until(lambda: self.numbers(path, params, member) == numbers, 5, f"{path} with {member} = {numbers[0]}")

    def run(self):
        for check in (self.check_services, self.check_topics, self.check_a_donation_advances_the_offsets,
                      self.check_the_worker, self.check_recent_rows, self.check_the_donations_sum,
                      self.check_the_same_again_counts_once, self.check_an_order, self.check_refusals):
            print("ok ", check(), flush=True)


def main():
    try:
        Smoke().run()
    except Failure as failure:
        print(f"FAILED  {failure}\n        what to do: {failure.do}")
        return 1
    except (AssertionError, StackError, requests.RequestException, KeyError, ValueError) as error:
        print(f"FAILED  {error}\n        what to do: make health; make logs-gateway, logs-ingestion, logs-worker")
        return 1
    print("all is well")
    return 0


if __name__ == "__main__":
    sys.exit(main())
