"""The worker killed with -9 where it hurts most, again and again, under load: every acknowledged event is in
the rows and in every aggregate exactly once."""

import random
import signal

import pytest
from lib.load import Load
from lib.process import Service

POINTS = ("worker_after_poll", "worker_in_transaction", "worker_after_commit")
SESSION = "2s"  # a killed worker's partitions are free after this


def kill_once(stack, point, passage):
    """A worker that dies at the given passage of the point."""
    with Service(stack, "worker", fault=f"{point}=kill@{passage}", kafka_session_timeout=SESSION) as worker:
        assert worker.process.wait(timeout=40) == -signal.SIGKILL, f"{point}@{passage} was never reached"


def settle(stack, store, tenant, load, topics):
    with Service(stack, "worker", kafka_session_timeout=SESSION) as worker:
        worker.wait_ready()
        store.wait_drained(topics, seconds=40)
        store.check_ledger(tenant.id, load.acknowledged)
        assert worker.terminate() == 0


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at(stack, store, tenant, topics, without_worker, seed, point):
    with Load(tenant, seed, pause=0.02) as load:
        for passage in (1, random.Random(f"{seed}{point}").randint(2, 12)):
            kill_once(stack, point, passage)
    assert len(load.acknowledged) > 100
    settle(stack, store, tenant, load, topics)


def test_seeded_rounds_of_kills_at_any_point(stack, store, tenant, topics, without_worker, seed):
    rng = random.Random(seed)
    rounds = [(rng.choice(POINTS), rng.randint(1, 25)) for _ in range(5)]
    print(f"TIDEGATE_TEST_SEED={seed}: {rounds}")
    with Load(tenant, seed + 1, pause=0.02) as load:
        for point, passage in rounds:
            kill_once(stack, point, passage)
    settle(stack, store, tenant, load, topics)


def test_two_workers_of_which_one_is_killed_in_its_transaction(stack, store, tenant, topics, without_worker,
                                                               seed):
    with Load(tenant, seed + 2, pause=0.02) as load, \
            Service(stack, "worker", own_ports=True, kafka_session_timeout=SESSION) as survivor:
        survivor.wait_ready()
        kill_once(stack, "worker_in_transaction", 2)
        store.wait_drained(topics, seconds=30)  # all partitions, those of the dead one among them
    settle(stack, store, tenant, load, topics)
