"""Kafka, PostgreSQL and Redis away for a while under load: what is refused is refused honestly, what was
acknowledged is not lost, and everything goes on by itself."""

import time

import pytest
import requests
from lib.api import Api
from lib.load import CUT, Load, Reads
from lib.waiting import until

AWAY = 10  # seconds
READS = ("/v1/kpi/minute", "/v1/metrics", "/v1/streams/top", "/v1/kpi/latest", "/v1/kpi/hour", "/v1/signals",
         "/v1/alerts", "/v1/metrics/iot/latest", "/v1/metrics/activity/latest")


@pytest.fixture
def away(stack):
    """away(name): stops a store; it is started again at the test's end at the latest."""
    gone = []

    def stop(name):
        stack.stop(name)
        gone.append(name)
    yield stop
    for name in gone:
        stack.start(name)


def wait_out(since, load):
    """Until the store has been away for its time, with the load running on."""
    until(lambda: time.monotonic() - since >= AWAY, AWAY + 5, "the outage's time", every=0.1)
    assert not load.errors, load.errors[0]


def test_kafka_away_means_503_and_nothing_acknowledged_is_lost(stack, store, tenant, topics, away, seed):
    with Load(tenant, seed, pause=0.02) as load:
        until(lambda: len(load.acknowledged) > 200, 10, "the load runs")
        pids = {name: stack.pid(name) for name in ("ingestion", "worker", "gateway")}
        away("kafka")
        gone = time.monotonic()
        until(lambda: [answer for answer in load.since(gone) if answer.status == 503], AWAY, "a 503")
        wait_out(gone, load)
        stack.start("kafka")
        back = time.monotonic()
        until(lambda: [answer for answer in load.since(back) if answer.status == 202], 5,
              f"202 within 5 s of Kafka's return: {load.statuses()}")
        until(lambda: len([answer for answer in load.since(back) if answer.status == 202]) > 50, 10, "many of them")
    statuses = load.statuses()
    assert set(statuses) <= {202, 503}, statuses
    assert all(answer.retry_after for answer in load.answers if answer.status == 503)
    assert {name: stack.pid(name) for name in pids} == pids
    store.wait_drained(topics, seconds=40)
    store.check_ledger(tenant.id, load.acknowledged)


def test_postgresql_away_is_not_felt_by_those_who_send(stack, store, tenant, topics, away, seed):
    worker = stack.admin("worker")
    with Load(tenant, seed + 1, pause=0.02) as load, Reads(tenant, READS, pause=0.05) as reads:
        until(lambda: len(load.acknowledged) > 200, 10, "the load runs")
        pids = {name: stack.pid(name) for name in ("ingestion", "worker", "gateway", "query", "registry")}
        away("postgres")
        gone = time.monotonic()
        until(lambda: requests.get(worker + "/ready", timeout=2).status_code == 503, AWAY, "the worker says so")
        wait_out(gone, load)
        stack.start("postgres")
        until(lambda: requests.get(worker + "/ready", timeout=2).status_code == 200, 15, "the worker is back")
    assert set(load.statuses()) == {202}, load.statuses()
    assert set(reads.statuses()) <= {200, 503}, reads.statuses()
    assert all(answer.retry_after for answer in reads.answers if answer.status == 503)
    assert {name: stack.pid(name) for name in pids} == pids
    store.wait_drained(topics, seconds=40)
    store.check_ledger(tenant.id, load.acknowledged)
    until(lambda: tenant.api.get("/v1/kpi/minute").status_code == 200, 10, "queries answer again")


def test_redis_away_refuses_nothing(stack, store, tenant, topics, away, seed):
    with Load(tenant, seed + 2, pause=0.02) as load, Reads(tenant, READS) as reads:
        until(lambda: len(load.acknowledged) > 200, 10, "the load runs")
        away("redis")
        gone = time.monotonic()
        until(lambda: len(load.since(gone)) > 100 and len(reads.since(gone)) > 200, 20, "both go on")
        slow = [time.monotonic()]
        assert Api(stack.url, tenant.key).items("/v1/metrics", minutes=17)
        assert time.monotonic() - slow[0] < 2
        stack.start("redis")
        back = time.monotonic()
        until(lambda: len(reads.since(back)) > 50, 10, "reads go on")
    assert set(load.statuses()) == {202}, load.statuses()
    assert set(reads.statuses()) == {200}, reads.statuses()
    assert CUT not in reads.statuses()
    store.check_ledger(tenant.id, load.acknowledged)
