"""A worker that stands still inside its transaction for longer than its session, and then wakes up as if
nothing had been: meanwhile another has its partitions."""

import signal

from lib import metrics
from lib.load import Load
from lib.process import Service
from lib.waiting import until

SESSION = "2s"


def test_a_stalled_owner_that_wakes_up_writes_nothing_twice(stack, store, tenant, topics, without_worker,
                                                            seed):
    with Load(tenant, seed, pause=0.02) as load:
        with Service(stack, "worker", fault="worker_in_transaction=stop@4", own_ports=True,
                     kafka_session_timeout=SESSION) as stalled:
            until(stalled.is_stopped, 30, "the worker stands still in its transaction")
            with Service(stack, "worker", kafka_session_timeout=SESSION) as successor:
                successor.wait_ready(40)
                store.wait_drained(topics, seconds=40)  # the stalled owner's partitions among them

                stalled.signal(signal.SIGCONT)
                stalled.wait_ready(30)
                seen = metrics.read(stalled.admin)
                lost = [value for name, value in seen.items() if name.startswith(
                    ("tidegate_worker_fenced_total", "tidegate_worker_db_failures_total"))]
                assert sum(lost) > 0, "the stalled transaction must have failed"
                store.wait_drained(topics, seconds=40)  # both together
                assert stalled.process.poll() is None and successor.process.poll() is None
                assert stalled.terminate() == 0
                assert successor.terminate() == 0
    with Service(stack, "worker", kafka_session_timeout=SESSION) as worker:
        worker.wait_ready(40)
        store.wait_drained(topics, seconds=40)
        store.check_ledger(tenant.id, load.acknowledged)
