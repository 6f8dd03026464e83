"""SIGTERM to each service under load, as a deployment does it: it ends with 0 within 10 s, no request is
cut, and nothing that was acknowledged is lost."""

import pytest
from lib.load import CUT, REFUSED, Load, Reads
from lib.process import Service
from lib.waiting import until

READS = ("/v1/kpi/minute", "/v1/metrics", "/v1/streams/top", "/v2/registry/subjects")


@pytest.fixture
def replaced(stack):
    """replaced(name): a child of the test in place of the stack's own service."""
    names = []

    def replace(name):
        stack.stop(name)
        names.append(name)
        return Service(stack, name)
    yield replace
    for name in names:
        stack.start(name)


@pytest.mark.parametrize("name", ["gateway", "ingestion", "query", "registry", "worker"])
def test_sigterm_under_load(stack, store, tenant, topics, replaced, seed, name):
    with replaced(name) as service:
        service.wait_ready()
        with Load(tenant, seed, pause=0.01) as load, Reads(tenant, READS) as reads:
            until(lambda: len(load.acknowledged) > 300 and len(reads.answers) > 50, 15, "the load runs")
            assert service.terminate(10) == 0
            stack.start(name)
            before = len(load.acknowledged)
            until(lambda: len(load.acknowledged) > before + 100, 15, "events are taken again")
            read = len(reads.answers)
            until(lambda: 200 in [answer.status for answer in reads.answers[read:]], 15, "reads are answered")
    for answers in (load.statuses(), reads.statuses()):
        assert CUT not in answers, answers
        allowed = {200, 202, 503} | ({REFUSED} if name == "gateway" else set())
        assert set(answers) <= allowed, answers
    for answer in (*load.answers, *reads.answers):
        assert answer.status != 503 or answer.retry_after
    store.wait_drained(topics, seconds=30)
    store.check_ledger(tenant.id, load.acknowledged)


def test_a_worker_that_ends_gives_the_upkeep_back(stack, store):
    """Else the next one would leave hours and days as they are until the lease has run out."""
    held = lambda: store.owner.rows("SELECT 1 FROM data.leases WHERE name = 'maintenance' AND expires_at > now()"
                                    " AND owner LIKE %s", f"%-{stack.pid('worker')}")
    until(held, 45, "the worker has the lease", every=0.1)
    stack.stop("worker")
    try:
        assert store.owner.rows("SELECT 1 FROM data.leases WHERE expires_at > now()") == []
    finally:
        stack.start("worker")


def test_a_worker_with_a_thread_that_hangs_ends_all_the_same(stack, store, tenant, topics, without_worker, seed):
    """As librdkafka's do when they wait for a group that says nothing."""
    log = stack.run / "log" / "worker.log"
    with Load(tenant, seed, pause=0.02) as load:
        with Service(stack, "worker", fault="worker_leaving=hang", worker_drain="500ms") as worker:
            worker.wait_ready()
            until(lambda: len(load.acknowledged) > 100, 15, "the load runs")
            before = log.read_text().count("threads_left_behind")
            assert worker.terminate(14) == 0
            assert log.read_text().count("threads_left_behind") == before + 1
    with Service(stack, "worker") as worker:
        worker.wait_ready(40)
        store.wait_drained(topics, seconds=40)
        store.check_ledger(tenant.id, load.acknowledged)
