"""Kafka from outside: records of our own making, offsets, and what stands in a topic."""

import struct
import uuid

from confluent_kafka import Consumer, Producer, TopicPartition

from lib.events import TYPES
from lib.waiting import until

PARTITIONS = 6


def micros(moment):
    return round(moment.timestamp() * 1_000_000)


def headers(tenant, event_type, moment, event_id=None):
    """The headers that ingestion gives a record."""
    return [("tg-tenant", tenant.encode()), ("tg-type", event_type.encode()),
            ("tg-event", fixed_header(event_id or uuid.uuid4(), micros(moment)))]


def fixed_header(event_id, occurred, received=None):
    """tg-event: the id, both times in µs, and that the time is the client's."""
    return event_id.bytes + struct.pack(">qq?", occurred, occurred if received is None else received, False)


def event_id_of(message):
    """The id in a record's headers; None where there is none, as in the poison records of other tests."""
    fixed = dict(message.headers() or []).get("tg-event") or b""
    return uuid.UUID(bytes=fixed[:16]) if len(fixed) >= 16 else None


def framed(schema_id, body):
    return b"\0" + struct.pack(">I", schema_id) + body


class Topics:
    def __init__(self, brokers):
        self.brokers = brokers
        self.producer = Producer({"bootstrap.servers": brokers, "linger.ms": 0, "log_level": 2})

    def put(self, topic, partition, value, record_headers=(), key=None):
        """Writes one record; its offset."""
        offsets = []

        def delivered(error, message):
            assert error is None, error
            offsets.append(message.offset())

        self.producer.produce(topic, value=value, key=key, partition=partition,
                              headers=list(record_headers), on_delivery=delivered)
        assert self.producer.flush(10) == 0, "Kafka did not acknowledge"
        return offsets[0]

    def careful_producer(self):
        """One whose records stand in the topic once, however often the broker goes away."""
        return Producer({"bootstrap.servers": self.brokers, "linger.ms": 0, "log_level": 2, "enable.idempotence": True,
                         "message.timeout.ms": 180_000, "reconnect.backoff.max.ms": 500})

    @staticmethod
    def of_events():
        return [f"events.{name}" for name in (*TYPES, "custom")]

    def reader(self):
        return Consumer({"bootstrap.servers": self.brokers, "group.id": f"tests-{uuid.uuid4()}",
                         "enable.auto.commit": False, "auto.offset.reset": "earliest"})

    def ends(self, topic, partitions=PARTITIONS):
        """The next offset of each partition."""
        reader = self.reader()
        try:
            return [reader.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1]
                    for number in range(partitions)]
        finally:
            reader.close()

    def find(self, topic, header, value, partitions, seconds=10):
        """The first record with this header."""
        return self._first(topic, lambda record: dict(record.headers() or []).get(header) == value,
                           partitions, seconds)

    def find_event(self, topic, event_id):
        """The record of the event with this id."""
        return self._first(topic, lambda record: event_id_of(record) == event_id, PARTITIONS, 10)

    def _first(self, topic, wanted, partitions, seconds):
        reader = self.reader()
        reader.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
        found = []

        def seen():
            message = reader.poll(0.2)
            if message is not None and message.error() is None and wanted(message):
                found.append(message)
            return found
        try:
            until(seen, seconds, f"the record in {topic}", every=0)
            return found[0]
        finally:
            reader.close()
