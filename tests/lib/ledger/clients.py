"""The clients of the ledger test, who write down what they sent and what they were told.

Each sends single events and batches of all types, some late by hours or weeks, some without a time, some twice,
some invalid. An answer that is no acknowledgement is followed by the same bytes again, as the promise allows;
but some events are given up at once, to see that they end up stored once or not at all."""

import datetime
import json
import random
import threading
import time
import urllib.parse
import uuid

from lib.events import ROLES, Generator, named_id, now, series
from lib.ledger.check import Letter, Sent
from lib.load import CUT, REFUSED, Connection
from lib.topics import headers

RETRIABLE = (REFUSED, CUT, 429, 502, 503, 504)
# How late events are: the share, how long ago, spread over how many minutes.
LATE = ((0.80, 0, 3), (0.12, 0, 26 * 60), (0.04, 24 * 60, 3), (0.02, 9 * 24 * 60, 3), (0.02, 20 * 24 * 60, 90))
FICKLE = 0.35      # of the events that are given up after the first refusal
INVALID = 0.03
TWICE = 0.06       # of the events that are sent again though they were acknowledged
UNTIMED = 0.3      # of sessions and readings: neither id nor time, but an Idempotency-Key
PATIENCE = (0.7, 2, 15)  # seconds that a client waits for an answer; one that is impatient knows of no outcome
GRACE = 60         # seconds after the end until everything must have been acknowledged


class Event:
    """One event as it goes out, again and again the same."""

    def __init__(self, tenant, event_type, body, key=None):
        identity, time_field, _, _, user, _ = ROLES[event_type]
        self.type = event_type
        self.body = body
        self.key = key
        self.mark = body[user] if user else body["unit"]
        given = body.get(identity) if identity else None
        stated = body.get(time_field)
        self.sent = Sent(tenant, *series(event_type, body), time=_moment(stated) if stated else None,
                         event_id=named_id(tenant, event_type, given) if given else None)


def _moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


class Client:
    """One thread with one connection for one tenant."""

    def __init__(self, world, tenant, seed, ledger, lock, pause=0.04):
        self.tenant = tenant.id
        self.rng = random.Random(f"client {seed}")
        self.generator = Generator(seed)
        self.connection = Connection(urllib.parse.urlsplit(world.url).netloc, tenant.key, self.rng.choice(PATIENCE))
        self.ledger = ledger
        self.lock = lock
        self.pause = pause
        self.stopping = None  # the moment from which GRACE counts
        self.given_up = []    # events whose fate is unknown
        self.error = None
        self.acknowledged = 0
        self.statuses = {}
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self.thread.start()

    def stop(self):
        self.stopping = time.monotonic()

    def join(self):
        self.thread.join(GRACE + 30)
        assert not self.thread.is_alive(), f"a client of {self.tenant} does not come to an end"
        if self.error is not None:
            raise self.error

    def retry(self, share):
        """Sends a share of the given-up events again until they are acknowledged. Called after join()."""
        self.stopping = time.monotonic()
        for event in self.given_up:
            if self.rng.random() < share:
                self._single(event, insist=True)
        self.connection.close()

    # --- in the thread ---

    def _run(self):
        try:
            while self.stopping is None:
                self._single(self._event(keyed=True), self.rng.random() >= FICKLE)
                self._batch([self._event() for _ in range(self.rng.randint(2, 25))], self.rng.random() >= FICKLE)
                if self.rng.random() < INVALID * 10:
                    self._invalid()
                time.sleep(self.pause)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error
        finally:
            self.connection.close()

    def _event(self, keyed=False):
        _, age, spread = self.rng.choices(LATE, [share for share, _, _ in LATE])[0]
        self.generator.age = datetime.timedelta(minutes=age)
        self.generator.spread = datetime.timedelta(minutes=spread)
        event_type, body = self.generator.next()
        identity, time_field = ROLES[event_type][:2]
        key = None
        if keyed and identity is None and self.rng.random() < UNTIMED:
            del body[time_field]
            key = f"key-{self.generator.seed}-{self.generator.made}"
        event = Event(self.tenant, event_type, body, key)
        with self.lock:
            assert event.mark not in self.ledger.sent
            self.ledger.sent[event.mark] = event.sent
        return event

    def _single(self, event, insist):
        path = f"/v1/events/{event.type}"
        extra = {"Idempotency-Key": event.key} if event.key else None
        body = json.dumps(event.body).encode()
        if not self._deliver([event], path, body, extra, insist, self._note_single):
            return
        if self.rng.random() < TWICE:
            self._deliver([event], path, body, extra, False, self._note_single)

    def _batch(self, events, insist):
        """Sends a batch; then, as long as some were not acknowledged, those alone."""
        repeats = [event for event in events if self.rng.random() < TWICE]
        pending = events + repeats
        self.rng.shuffle(pending)
        while pending:
            failed = []
            body = json.dumps([{"type": event.type, "data": event.body} for event in pending]).encode()
            note = lambda sent, answer: failed.extend(self._note_batch(sent, answer))
            if not self._deliver(pending, "/v2/events", body, None, insist, note):
                return
            if failed and not insist:
                self.given_up.extend(failed)
                return
            pending = failed

    def _invalid(self):
        """An event that must be refused, and so must be stored nowhere."""
        event = self._event()
        with self.lock:
            del self.ledger.sent[event.mark]
        body = {**event.body, ROLES[event.type][3]: 17, "no_such_field": []}
        status, _, text = self._send(f"/v1/events/{event.type}", json.dumps(body).encode(), None)
        if status not in (422, *RETRIABLE):
            self._wrong(f"{status} for an invalid event {body}: {text[:300]}")

    def _deliver(self, events, path, body, extra, insist, note):
        """Sends the same bytes until 202; False if they were given up or refused for good."""
        while True:
            status, _, text = self._send(path, body, extra, events)
            if status == 202:
                note(events, json.loads(text))
                return True
            if status not in RETRIABLE:
                self._wrong(f"{status} for {path} of {self.tenant}: {text[:300]}")
                return False
            if not insist:
                self.given_up.extend(events)
                return False
            if self.stopping is not None and time.monotonic() - self.stopping > GRACE:
                self._wrong(f"not acknowledged within {GRACE} s of healing: {status} {text[:300]}")
                return False
            time.sleep(0.05)

    def _send(self, path, body, extra, events=()):
        before = now()
        for event in events:
            event.sent.first_sent = event.sent.first_sent or before
        answer = self.connection.send("POST", path, body, extra)
        self.statuses[answer[0]] = self.statuses.get(answer[0], 0) + 1
        return answer

    def _note_single(self, events, answer):
        self._acknowledge(events[0], answer)

    def _note_batch(self, events, answer):
        """Yields the events that were not acknowledged."""
        items = answer["items"]
        if len(items) != len(events):
            self._wrong(f"{len(items)} items for {len(events)} events")
            return
        for item, event in zip(items, events):
            if item["status"] == "failed":
                yield event
            elif item["status"] in ("accepted", "duplicate"):
                self._acknowledge(event, item)
            else:
                self._wrong(f"a good event was refused: {event.body} {item}")

    def _acknowledge(self, event, item):
        event.sent.last_answer = now()
        event.sent.told.add(uuid.UUID(item["event_id"]))
        self.acknowledged += 1

    def _wrong(self, text):
        with self.lock:
            self.ledger.answers.append(text)


class Garbage:
    """Writes records that are no events straight into the topics. Its producer is idempotent, so each stands there
    once."""

    def __init__(self, world, tenants, seed, ledger):
        self.topics = world.topics
        self.tenants = tenants
        self.rng = random.Random(f"garbage {seed}")
        self.ledger = ledger
        self.producer = self.topics.careful_producer()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self.thread.start()

    def stop(self):
        self.stopping.set()
        self.thread.join()
        assert self.producer.flush(120) == 0, "Kafka did not take all of the garbage"

    def _run(self):
        while not self.stopping.wait(0.2):
            self._put(self.rng.choice(self.topics.of_events()[:-1]))

    def _put(self, topic):
        named = self.rng.random() < 0.5
        tenant = self.rng.choice(self.tenants)
        value = b"\xde\xad" + self.rng.randbytes(self.rng.randint(0, 60))
        record_headers = headers(tenant, topic.removeprefix("events."), now()) if named else []

        def delivered(error, message):
            if error is None:
                self.ledger.letters.add(Letter(topic, message.partition(), message.offset(),
                                               tenant if named else None,
                                               "bad_framing" if named else "bad_headers"))
            else:
                self.ledger.answers.append(f"garbage was not taken, its fate is unknown: {error}")
        self.producer.produce(topic, value=value, partition=self.rng.randrange(6), headers=record_headers,
                              on_delivery=delivered)
        self.producer.poll(0)
