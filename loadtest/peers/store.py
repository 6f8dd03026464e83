"""The usual way from Kafka to PostgreSQL: aiokafka and asyncpg, a batch at a time.

Reads what ingest.py wrote from one topic, from its start, until it has stored PEER_ROWS rows, then prints one
JSON object. Each batch is one deduplicating insert; offsets are committed to Kafka after it. No aggregates.
With `fill` as argument it produces PEER_ROWS records instead. Settings: PEER_KAFKA, PEER_TOPIC, PEER_DSN,
PEER_ROWS, PEER_BATCH.
"""

import json
import os
import random
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pydantic import AwareDatetime, BaseModel

TOPIC = os.environ["PEER_TOPIC"]
KAFKA = os.environ["PEER_KAFKA"]
ROWS = int(os.environ["PEER_ROWS"])
CURRENCIES = ("USD", "EUR", "GBP", "JPY", "CHF", "SEK")
INSERT = """
INSERT INTO bench.peer_events (tenant_id, event_id, occurred_at, received_at, kind, entity, user_id, value, payload)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::text[],
                     $7::text[], $8::float8[], $9::jsonb[])
ON CONFLICT DO NOTHING
"""


class Order(BaseModel):
    order_id: str | None = None
    customer_id: str
    amount: float
    currency: str
    channel: str
    event_time: AwareDatetime | None = None


async def fill():
    """Orders 20 ms apart in one partition, as ingest.py writes them."""
    producer = AIOKafkaProducer(bootstrap_servers=KAFKA, acks="all", compression_type="lz4", linger_ms=5)
    await producer.start()
    now = datetime.now(UTC)
    last = None
    for number in range(ROWS):
        at = now - timedelta(milliseconds=20 * (ROWS - number))
        order = Order(
            order_id=f"ord-{number:012}",
            customer_id=f"customer-{random.randrange(1000000):06}",
            amount=random.randrange(100000) / 100,
            currency=random.choice(CURRENCIES),
            channel=f"channel-{random.randrange(10)}",
            event_time=at,
        )
        last = await producer.send(
            TOPIC,
            partition=0,
            value=order.model_dump_json().encode(),
            headers=[
                ("tenant", b"demo"),
                ("event-id", uuid.uuid4().bytes),
                ("occurred-at", at.isoformat().encode()),
                ("received-at", now.isoformat().encode()),
            ],
        )
    await last
    await producer.stop()


def row_of(record):
    order = Order.model_validate_json(record.value)
    headers = dict(record.headers)
    return (
        headers["tenant"].decode(),
        uuid.UUID(bytes=headers["event-id"]),
        datetime.fromisoformat(headers["occurred-at"].decode()),
        datetime.fromisoformat(headers["received-at"].decode()),
        order.currency,
        order.channel,
        order.customer_id,
        order.amount,
        json.dumps({"order_id": order.order_id}),
    )


async def store():
    partition = TopicPartition(TOPIC, 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=KAFKA, group_id="peer", enable_auto_commit=False, auto_offset_reset="earliest"
    )
    consumer.assign([partition])
    await consumer.start()
    await consumer.seek_to_beginning(partition)
    database = await asyncpg.connect(os.environ["PEER_DSN"])
    backend = database.get_server_pid()
    stored = 0
    start = end = None
    while stored < ROWS:
        batches = await consumer.getmany(timeout_ms=100, max_records=int(os.environ["PEER_BATCH"]))
        records = batches.get(partition, [])
        if not records:
            continue
        if start is None:
            start, cpu = time.monotonic(), time.process_time()
            before = backend_seconds(backend)
        await database.execute(INSERT, *zip(*map(row_of, records), strict=True))
        await consumer.commit({partition: records[-1].offset + 1})
        stored += len(records)
        end = time.monotonic()
    spent = {"cpu_seconds": time.process_time() - cpu, "backend_seconds": backend_seconds(backend) - before}
    await database.close()
    await consumer.stop()
    print(json.dumps({"rows": stored, "seconds": end - start} | spent))


def backend_seconds(pid):
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as stat:
        return int(stat.read().split()[0]) / 1e9


if __name__ == "__main__":
    uvloop.run(fill() if sys.argv[1:] == ["fill"] else store())
