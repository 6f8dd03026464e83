"""The event simulator against the running stack: its ledger is exactly what the store has, also when the gateway or
Kafka was away in between or the simulator was killed."""

import collections
import contextlib
import datetime
import json
import os
import re
import signal
import subprocess
import sys
import uuid
from decimal import Decimal

import pytest
import requests
from lib import events, metrics
from lib.stack import ROOT
from lib.waiting import until

TYPES = "reading,activity,signal,order,session,stream"


class Simulator:
    """One run of tidegate-simulator for a tenant, on ports of its own choice."""

    def __init__(self, tenant, ledger, *options):
        stack = tenant.stack
        self.ledger = ledger
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
        self.process = subprocess.Popen(
            [str(stack.bin / "tidegate-simulator"), "--gateway=" + stack.url.partition("//")[2],
             "--http.listen=127.0.0.1:0", "--http.admin_listen=127.0.0.1:0", f"--ledger={ledger}", *options],
            env={**environment, "TIDEGATE_SIMULATOR_KEY": tenant.key}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, seconds=60):
        """Waits for its end; the exit code and the summary."""
        out, self.errors = self.process.communicate(timeout=seconds)
        return self.process.returncode, json.loads(out) if out else None

    def entries(self):
        """What was acknowledged: one object per whole line."""
        lines = self.ledger.read_text(encoding="utf-8").split("\n")[:-1] if self.ledger.exists() else []
        return [entry for entry in map(json.loads, lines) if "event_id" in entry]

    def port(self):
        """Of POST /emit; the log tells which was free."""
        for line in iter(self.process.stderr.readline, ""):
            found = re.search(r'"event":"started".*"port":(\d+)', line)
            if found:
                return int(found.group(1))
        raise AssertionError("the simulator did not start")


@contextlib.contextmanager
def running(tenant, ledger, *options):
    simulator = Simulator(tenant, ledger, *options)
    try:
        yield simulator
    finally:
        if simulator.process.poll() is None:
            simulator.process.kill()
            simulator.process.communicate()


@pytest.fixture
def ledger(tmp_path):
    return tmp_path / "ledger"


def run(tenant, ledger, *options):
    with running(tenant, ledger, *options) as simulator:
        code, summary = simulator.finish()
        assert code == 0, simulator.errors
        return simulator.entries(), summary


def as_stored(entries):
    return {uuid.UUID(entry["event_id"]): (entry["type"], entry["kind"], entry["entity"],
                                           None if entry["value"] is None else float(entry["value"]))
            for entry in entries}


def check_store(store, tenant, entries):
    """Rows, times and aggregates are what the ledger says."""
    assert len(as_stored(entries)) == len(entries), "an event stands twice in the ledger"
    store.check_ledger(tenant.id, as_stored(entries))
    times = {uuid.UUID(entry["event_id"]): datetime.datetime.fromisoformat(entry["occurred_at"].replace("Z", "+00:00"))
             for entry in entries}
    assert {row.event_id: row.occurred_at for row in tenant.events()} == times


def sums(store, tenant):
    """type -> kind -> (count, sum), by the minutes."""
    rows = store.owner.rows("SELECT type, kind, sum(count)::bigint, sum(sum) FROM data.metric_minute"
                            " WHERE tenant_id = %s GROUP BY 1, 2", tenant.id)
    found = collections.defaultdict(dict)
    for event_type, kind, count, total in rows:
        found[event_type][kind] = (count, Decimal(total or 0))
    return found


def told_sums(summary):
    return {event_type: {kind: (cell["count"], Decimal(cell["sum"])) for kind, cell in kinds.items()}
            for event_type, kinds in summary["acknowledged"].items()}


@pytest.mark.parametrize("options", [("--events=3000",), ("--events=300", "--single=true")], ids=["batches", "single"])
def test_the_ledger_is_exactly_what_is_stored(tenant, store, ledger, options):
    entries, summary = run(tenant, ledger, "--rate=50", *options)
    count = int(options[0].partition("=")[2])
    assert (summary["produced"], summary["events"], len(entries)) == (count, count, count)
    assert {entry["key"] for entry in entries} == {tenant.key.removeprefix("tg_")[:12]}
    check_store(store, tenant, entries)
    assert sums(store, tenant) == told_sums(summary)
    assert set(told_sums(summary)) <= set(TYPES.split(","))


def test_the_same_world_sent_twice_counts_once(tenant, store, ledger, tmp_path):
    start = events.rfc3339(events.now() - datetime.timedelta(minutes=20))
    options = (f"--start={start}", "--seed=7", "--events=1000", "--rate=0.5")
    first, _ = run(tenant, ledger, *options)
    second, _ = run(tenant, tmp_path / "second", *options)
    assert as_stored(first) == as_stored(second)
    check_store(store, tenant, second)


def test_history_is_filled_up_to_now(tenant, store, ledger):
    options = ("--types=order", "--rate.order=2", "--start=2026-01-01T00:00:00Z", "--history=10m", "--duration=10m")
    before = events.now()
    entries, _ = run(tenant, ledger, *options)
    check_store(store, tenant, entries)
    minutes = {row.occurred_at.replace(second=0, microsecond=0) for row in tenant.events()}
    assert len(minutes) >= 10
    assert before - datetime.timedelta(minutes=10, seconds=1) <= min(row.occurred_at for row in tenant.events())


def test_viewers_who_joined_and_left_are_the_state(tenant, store, ledger):
    entries, _ = run(tenant, ledger, "--types=stream", "--events=2000", "--history=3m", "--rate=0.5")
    check_store(store, tenant, entries)
    state, told = store.viewers(tenant.id)
    assert all(count >= 0 for count in state.values())
    assert {key: state.get(key, 0) for key in told} == told


def test_types_that_were_not_chosen_are_not_sent(tenant, ledger):
    entries, _ = run(tenant, ledger, "--types=order,reading", "--events=200", "--rate=20")
    assert {entry["type"] for entry in entries} == {"order", "reading"}


def test_emit_sends_one_event_and_gives_the_gateways_answer(tenant, store, ledger):
    with running(tenant, ledger, "--types=order", "--rate.order=0") as simulator:
        url = f"http://127.0.0.1:{simulator.port()}"
        good = requests.post(url + "/emit", json={"type": "stream", "event_type": "donation", "amount_usd": 25.5,
                                                  "stream_id": "mine"}, timeout=10)
        bare = requests.post(url + "/emit", json={"type": "reading"}, timeout=10)
        bad = requests.post(url + "/emit", json={"type": "order", "amount": "much"}, timeout=10)
        odd = requests.post(url + "/emit", json={"type": "nothing"}, timeout=10)
        assert requests.get(url + "/ready", timeout=10).status_code == 200
        simulator.process.send_signal(signal.SIGTERM)
        code, summary = simulator.finish()
    assert (good.status_code, bare.status_code) == (202, 202)
    assert (bad.status_code, bad.json()["error"]["field"]) == (422, "amount")
    assert (odd.status_code, odd.json()["error"]["code"]) == (400, "invalid_emit")
    assert (code, summary["refused"]) == (1, 1)  # something was refused
    assert summary["acknowledged"]["stream"] == {"donation": {"count": 1, "sum": "25.5"}}
    entries = simulator.entries()
    assert [entry["event_id"] for entry in entries] == [good.json()["event_id"], bare.json()["event_id"]]
    check_store(store, tenant, entries)


def wait_for(count, simulator):
    until(lambda: len(simulator.entries()) >= count, 30, f"{count} events are acknowledged", every=0.05)


@pytest.mark.parametrize("away", ["ingestion", "kafka"])
def test_nothing_is_lost_while_a_part_is_away(stack, tenant, store, ledger, away):
    with running(tenant, ledger, "--rate=0.3", "--duration=1h") as simulator:
        wait_for(300, simulator)
        stack.command("stop" if away == "kafka" else "kill", away)
        try:
            # The answers stop; then everything that is due while it is away waits.
            until(lambda: quiet(simulator), 30, "nothing is acknowledged any more")
        finally:
            stack.start(away)
        wait_for(len(simulator.entries()) + 500, simulator)
        simulator.process.send_signal(signal.SIGTERM)
        code, summary = simulator.finish()
    assert code == 0 and summary["given_up"] == 0, (summary, simulator.errors)
    assert summary["produced"] == summary["events"] == len(simulator.entries())
    check_store(store, tenant, simulator.entries())


def quiet(simulator):
    """Whether a second goes by in which no event is acknowledged."""
    before = len(simulator.entries())
    with contextlib.suppress(subprocess.TimeoutExpired):
        simulator.process.wait(1)
    return len(simulator.entries()) == before


def test_a_killed_simulator_leaves_a_ledger_of_what_is_stored(tenant, store, topics, ledger):
    with running(tenant, ledger, "--rate=20") as simulator:
        wait_for(5000, simulator)
        simulator.process.kill()
        simulator.process.communicate()
    store.wait_drained(topics, seconds=30)
    stored = {row.event_id: (row.type, row.kind, row.entity, row.value) for row in tenant.events()}
    told = as_stored(simulator.entries())
    assert len(told) >= 5000
    assert {key: stored.get(key) for key in told} == told
    # What was under way may be stored too, and no more than that: 16 requests of 500.
    assert len(stored) - len(told) <= 16 * 500
    store.check_folds(tenant.id)


def test_what_the_gateway_refuses_is_named(tenant, ledger):
    with running(tenant, ledger, "--types=order", "--events=3", "--start=2020-01-01T00:00:00Z") as simulator:
        code, summary = simulator.finish()
    assert (code, summary["refused"], summary["events"]) == (1, 3, 0)
    lines = [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]
    assert [line["refused"] for line in lines] == ["too_old"] * 3
    assert all(line["event"]["order_id"] for line in lines)


def test_smoke_and_load_are_exact_beside_it(stack):
    stack.start("simulator")
    try:
        samples = until(lambda: metrics.read(stack.admin("simulator")), 10, "its metrics")
        assert 'tidegate_simulator_produced_total{type="order"}' in samples
        for script in ("loadtest/load.py", "tests/smoke.py"):
            environment = {**os.environ, "TIDEGATE_RUN": str(stack.run), "TIDEGATE_PORT_BASE": str(stack.base),
                           "TIDEGATE_BIN": str(stack.bin)}
            done = subprocess.run([sys.executable, str(ROOT / script)], env=environment, capture_output=True,
                                  text=True, timeout=120, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        produced = [value for name, value in metrics.read(stack.admin("simulator")).items()
                    if name.startswith("tidegate_simulator_acknowledged_total")]
        assert sum(produced) > 0
    finally:
        stack.stop("simulator")
