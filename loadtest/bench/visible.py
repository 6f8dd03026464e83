"""From the 202 of an event to its appearance in /v1/metrics, at 1,000 events a second.

Each probe is a stream event for a stream of its own; a reader asks for that stream until it is
there. Fresh: each question differs from the one before, so that no cached answer is read. Cached:
always the same question, which may be answered from a cache of 1 s. The time includes the answer's
way and up to one pause between two questions.
"""

import http.client
import json
import threading
import time
import uuid

from bench.procs import Others
from bench.result import Result, say
from bench.stack import BenchError, finish

RATE = 1000
READERS = 3
PAUSE = 0.015
GIVE_UP = 10


class _Reader(threading.Thread):
    def __init__(self, stack, fresh, until):
        super().__init__(daemon=True)
        self._host = stack.env["TIDEGATE_URL"].partition("//")[2]
        self._headers = {"X-API-Key": stack.env["TIDEGATE_KEY"], "Content-Type": "application/json"}
        self._fresh = fresh
        self._until = until
        self.seconds = []
        self.failure = None

    def run(self):
        try:
            connection = http.client.HTTPConnection(self._host, timeout=GIVE_UP)
            while time.monotonic() < self._until:
                self.seconds.append(self._probe(connection))
        except (OSError, http.client.HTTPException, ValueError, KeyError, BenchError) as error:
            self.failure = error

    def _ask(self, connection, method, path, body=None):
        connection.request(method, path, body, self._headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 202):
            raise BenchError(f"{method} {path}: {answer.status} {text[:200]!r}")
        return text

    def _probe(self, connection):
        stream = f"probe-{uuid.uuid4().hex}"
        event = {"event_type": "chat_message", "stream_id": stream, "user_id": "reader"}
        self._ask(connection, "POST", "/v1/events/stream", json.dumps(event))
        start = time.monotonic()
        tries = 0
        while True:
            limit = 100 + tries if self._fresh else 100
            text = self._ask(connection, "GET", f"/v1/metrics?minutes=5&stream_id={stream}&limit={limit}")
            seconds = time.monotonic() - start
            if json.loads(text)["items"]:
                return seconds
            if seconds > GIVE_UP:
                raise BenchError(f"an event was not visible after {GIVE_UP} s")
            tries += 1
            time.sleep(PAUSE)


def _percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] * 1000


def _read(stack, fresh, seconds):
    readers = [_Reader(stack, fresh, time.monotonic() + seconds) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
        if reader.failure is not None:
            raise BenchError(f"reader: {reader.failure}")
    values = [value for reader in readers for value in reader.seconds]
    return {"probes": len(values), "p50": _percentile(values, 0.5), "p99": _percentile(values, 0.99)}


def measure(stack, seconds=20):
    say("202 to visible")
    with Others(stack.pids) as others:
        load = stack.load("--load.type=stream", f"--load.rate={RATE}", f"--load.seconds={2 * seconds + 4}s")
        time.sleep(2)
        fresh = _read(stack, True, seconds)
        cached = _read(stack, False, seconds)
        had = finish(load)
    if had["errors"] > 0:
        raise BenchError(f"{had['errors']} of {had['requests']} events were refused, the last with {had['bad_code']}")
    rate = had["events"] / had["seconds"]
    detail = (
        f"{fresh['probes']} probes at {rate:,.0f} events/s; the same question through the 1 s cache: "
        f"p50 {cached['p50']:.0f} ms, p99 {cached['p99']:.0f} ms"
    )
    figures = {"fresh": fresh, "cached": cached, "events_per_second": rate}
    return [
        Result(
            "202 → in /v1/metrics, p50", "ms", fresh["p50"], 300, detail=detail, others=others.share, figures=figures
        ),
        Result("202 → in /v1/metrics, p99", "ms", fresh["p99"], 1000, others=others.share, figures=figures),
    ]
