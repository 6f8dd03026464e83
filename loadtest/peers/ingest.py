"""The usual way to take events: FastAPI and aiokafka. One process, as many events at once as come.

POST /v1/events/order takes what tidegate takes there, refuses what it refuses, and answers 202 after the
acknowledgement of all in-sync replicas. Settings come from the environment: PEER_KAFKA, PEER_TOPIC,
PEER_KEY (the API key of tenant "demo").
"""

import os
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from fastapi import FastAPI, HTTPException, Request
from keys import Tenant
from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints

TOPIC = os.environ["PEER_TOPIC"]
NAMESPACE = uuid.UUID("9f2c1f2e-6f3a-4b1e-9a53-0c6f6ad0f5a1")
AHEAD = timedelta(minutes=10)
HORIZON = timedelta(days=400)

Text = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    order_id: Text | None = None
    customer_id: Text
    amount: float
    currency: Text
    channel: Text
    event_time: AwareDatetime | None = None


class Accepted(BaseModel):
    event_id: uuid.UUID
    received_at: datetime


@asynccontextmanager
async def lifespan(app):
    app.state.producer = AIOKafkaProducer(
        bootstrap_servers=os.environ["PEER_KAFKA"],
        acks="all",
        enable_idempotence=True,
        compression_type="lz4",
        linger_ms=1,
        max_batch_size=1_000_000,
    )
    await app.state.producer.start()
    yield
    await app.state.producer.stop()


app = FastAPI(lifespan=lifespan)


@app.post("/v1/events/order", status_code=202)
async def take(order: Order, request: Request, tenant: Tenant) -> Accepted:
    now = datetime.now(UTC)
    occurred = order.event_time or now
    if not now - HORIZON <= occurred <= now + AHEAD:
        raise HTTPException(422, "too_old" if occurred < now else "too_far_ahead")
    event_id = uuid.uuid5(NAMESPACE, f"{tenant}/order/{order.order_id}") if order.order_id else uuid.uuid4()
    try:
        await request.app.state.producer.send_and_wait(
            TOPIC,
            value=order.model_dump_json().encode(),
            key=f"{tenant}/order/{order.currency}/{order.channel}".encode(),
            headers=[
                ("tenant", tenant.encode()),
                ("event-id", event_id.bytes),
                ("occurred-at", occurred.isoformat().encode()),
                ("received-at", now.isoformat().encode()),
            ],
        )
    except KafkaError as error:
        raise HTTPException(503, "kafka_unavailable") from error
    return Accepted(event_id=event_id, received_at=now)
