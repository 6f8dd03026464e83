"""Steady load with a ledger: what was acknowledged must be stored, and nothing else.

Each thread has one kept-alive connection and sends single events and batches in turn. What is not
acknowledged is sent again, the same bytes, until it is: a client that keeps to the promise "any other answer may
be retried with the same id". So at the end sent = acknowledged, and the store can be compared exactly."""

import collections
import http.client
import json
import select
import socket
import threading
import time
import urllib.parse
import uuid

from lib.events import Generator, series

Answer = collections.namedtuple("Answer", "at status retry_after text")

REFUSED = "refused"  # no connection: the request was never sent
CUT = "cut"          # sent, and the connection ended without an answer


class Load:
    """Use as a context: the load runs inside the block and is settled at its end."""

    def __init__(self, tenant, seed, threads=3, batch=20, pause=0.005, **generator):
        self.tenant = tenant
        self.address = urllib.parse.urlsplit(tenant.stack.url).netloc
        self.batch = batch
        self.pause = pause
        self.acknowledged = {}  # event id -> (type, kind, entity, value)
        self.answers = []
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.errors = []
        self.threads = [threading.Thread(target=self._run, daemon=True,
                                         args=(Generator(seed * 100 + number, **generator),))
                        for number in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(40)
        alive = [thread for thread in self.threads if thread.is_alive()]
        if kind is None:
            assert not self.errors, self.errors[0]
            assert not alive, f"events that nobody acknowledges; last answers: {self.answers[-5:]}"

    def statuses(self):
        return collections.Counter(answer.status for answer in list(self.answers))

    def since(self, moment):
        return [answer for answer in list(self.answers) if answer.at >= moment]

    def refusals(self):
        """What was said by answers other than 202, for a failed assertion."""
        return self.statuses(), [answer.text[:200] for answer in list(self.answers) if answer.text][:3]

    # --- in the threads ---

    def _run(self, generator):
        connection = Connection(self.address, self.tenant.key)
        try:
            while not self.stopping.is_set():
                self._single(connection, generator)
                self._batch(connection, generator)
                time.sleep(self.pause)
        except Exception as error:  # pylint: disable=broad-except
            self.errors.append(error)
        finally:
            connection.close()

    def _single(self, connection, generator):
        event_type, body = generator.next()
        sends = 2 if generator.rng.random() < 0.05 else 1  # now and then the same event again
        for _ in range(sends):
            answer = self._insist(connection, f"/v1/events/{event_type}", json.dumps(body).encode())
            self._note(answer["event_id"], event_type, body)

    def _batch(self, connection, generator):
        pending = [generator.next() for _ in range(self.batch)]
        while pending:
            body = json.dumps([{"type": kind, "data": event} for kind, event in pending]).encode()
            items = self._insist(connection, "/v2/events", body)["items"]
            assert len(items) == len(pending)
            failed = []
            for item, (kind, event) in zip(items, pending):
                assert item["status"] != "rejected", (item, event)
                if item["status"] == "failed":
                    failed.append((kind, event))
                else:
                    self._note(item["event_id"], kind, event)
            pending = failed

    def _note(self, event_id, event_type, body):
        with self.lock:
            self.acknowledged[uuid.UUID(event_id)] = series(event_type, body)

    def _insist(self, connection, path, body):
        """Sends until 202; the answer's JSON."""
        give_up = None
        while True:
            status, retry_after, text = connection.send("POST", path, body)
            self.answers.append(Answer(time.monotonic(), status, retry_after, "" if status == 202 else text))
            if status == 202:
                return json.loads(text)
            assert status in (REFUSED, CUT, 429, 502, 503, 504), f"{path}: {status} {text} for {body}"
            if self.stopping.is_set():
                give_up = give_up or time.monotonic() + 30
                assert time.monotonic() < give_up, f"not acknowledged: {status} {text}"
            time.sleep(0.05)


class Reads:
    """One reader that goes round some paths; use as a context like Load."""

    def __init__(self, tenant, paths, pause=0.005, url=None):
        self.connection = Connection(urllib.parse.urlsplit(url or tenant.stack.url).netloc, tenant.key)
        self.paths = paths
        self.pause = pause
        self.answers = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(20)

    def statuses(self):
        return collections.Counter(answer.status for answer in list(self.answers))

    def since(self, moment):
        return [answer for answer in list(self.answers) if answer.at >= moment]

    def _run(self):
        while not self.stopping.is_set():
            for path in self.paths:
                status, retry_after, text = self.connection.send("GET", path)
                self.answers.append(Answer(time.monotonic(), status, retry_after, "" if status == 200 else text))
                time.sleep(self.pause if status == 200 else 0.05)
        self.connection.close()


class Connection:
    """One kept-alive connection. As any careful client, it does not send on one that the server has
    closed already."""

    def __init__(self, address, key, timeout=15):
        self.address = address
        self.timeout = timeout
        self.headers = {"X-API-Key": key, "Content-Type": "application/json"}
        self.connection = None

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def _connect(self):
        if self.connection is not None and select.select([self.connection.sock], [], [], 0)[0]:
            self.close()
        if self.connection is None:
            connection = http.client.HTTPConnection(self.address, timeout=self.timeout)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connection = connection

    def send(self, method, path, body=None, headers=None):
        """(status, Retry-After, text)"""
        try:
            self._connect()
        except OSError:
            return REFUSED, None, ""
        try:
            self.connection.request(method, path, body, {**self.headers, **(headers or {})})
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return CUT, None, repr(error)
        if answer.length is None and not answer.chunked:  # http.client takes a head that was cut for a whole one
            self.close()
            return CUT, None, "an answer that was cut in its head"
        if answer.will_close:
            self.close()
        return answer.status, answer.headers.get("Retry-After"), text.decode()
