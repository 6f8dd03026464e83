"""Events to send: the bodies that the product promises to take as they stand, and random ones by seed."""

import datetime
import random
import uuid

UTC = datetime.timezone.utc
TYPES = ("order", "session", "stream", "signal", "reading", "activity")

# Ingestion's namespace: ids that are no UUID are hashed in it, with tenant and type.
SPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "events.tidegate")


def now():
    return datetime.datetime.now(UTC)


def rfc3339(moment, digits=0):
    """`moment` as 2026-02-03T10:00:00Z, or with that many digits of the second."""
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    if digits:
        text += f".{moment.microsecond:06d}"[:digits + 1]
    return text + "Z"


def named_id(tenant, event_type, text):
    """The event id of a given id: itself if it is a UUID."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid.uuid5(SPACE, f"{tenant}/{event_type}/{text}")


def promised(moment):
    """One body per type, exactly as the documentation shows them, at `moment` (whole seconds)."""
    text = rfc3339(moment)
    return {
        "order": {"order_id": "o-1", "customer_id": "c-1", "amount": 120.5, "currency": "USD",
                  "channel": "web", "event_time": text},
        "session": {"session_id": "s-1", "event_type": "view", "channel": "web",
                    "event_time": text},
        "stream": {"event_id": "manual-donation-1", "ts": text[:-1] + ".300308+00:00",
                   "event_type": "donation", "stream_id": "stream_1001", "user_id": "user_999",
                   "amount_usd": 25.0},
        "signal": {"id": str(uuid.uuid1()), "user_id": "user_7", "source": "web",
                   "type": "button_click", "event_ts": text,
                   "payload": {"button": "buy", "position": {"x": 10, "y": 20.5}, "tags": ["a", None]}},
        "reading": {"device_id": "device-1", "metric": "temperature", "value": 21.75, "ts": text},
        "activity": {"user_id": "user_5", "event_type": "page_view", "page": "/home", "ts": text},
    }


# For each type: the fields that become id, time, kind, entity, user and value of the row.
ROLES = {
    "order": ("order_id", "event_time", "currency", "channel", "customer_id", "amount"),
    "session": (None, "event_time", "event_type", "channel", "session_id", None),
    "stream": ("event_id", "ts", "event_type", "stream_id", "user_id", "amount_usd"),
    "signal": ("id", "event_ts", "type", "source", "user_id", "value"),
    "reading": (None, "ts", "metric", "device_id", None, "value"),
    "activity": ("event_id", "ts", "event_type", "page", "user_id", "amount"),
}


def series(event_type, body):
    """(type, kind, entity, value) of an event, as the store has it."""
    _, _, kind, entity, _, value = ROLES[event_type]
    number = body.get(value) if value else None
    return event_type, body[kind], body[entity], None if number is None else float(number)


def _value(rng):
    return rng.choice((rng.randint(0, 500), round(rng.uniform(-50, 500), 2), rng.uniform(0, 1)))


class Generator:
    """Endless random events of all types, each one different, the same for the same seed. Times lie
    within `spread` before the moment of making; some events leave the time to us."""

    def __init__(self, seed, spread=datetime.timedelta(minutes=3), own_times=True):
        self.rng = random.Random(seed)
        self.seed = seed
        self.spread = spread
        self.age = datetime.timedelta(0)  # the spread begins so long ago
        self.own_times = own_times
        self.made = 0

    def next(self):
        """(type, body)"""
        rng = self.rng
        self.made += 1
        event_type = rng.choice(TYPES)
        name = f"{self.seed}-{self.made}"
        identity, time, _, _, _, _ = ROLES[event_type]
        body = getattr(self, "_" + event_type)(rng, name)
        if identity is not None:
            body[identity] = name if rng.random() < 0.5 else str(uuid.UUID(int=rng.getrandbits(128), version=4))
        if identity is None or not self.own_times or rng.random() < 0.8:
            body[time] = rfc3339(now() - self.age - self.spread * rng.random(), 6)
        return event_type, body

    @staticmethod
    def _order(rng, name):
        return {"customer_id": f"c-{name}", "amount": _value(rng), "currency": rng.choice(("USD", "EUR")),
                "channel": rng.choice(("web", "app", "store"))}

    @staticmethod
    def _session(rng, name):
        return {"session_id": f"s-{name}", "event_type": rng.choice(("view", "checkout", "purchase")),
                "channel": rng.choice(("web", "app"))}

    @staticmethod
    def _stream(rng, name):
        kind = rng.choice(("viewer_join", "viewer_leave", "chat_message", "donation"))
        body = {"event_type": kind, "stream_id": f"stream-{rng.randint(1, 5)}", "user_id": f"u-{name}"}
        return {**body, "amount_usd": _value(rng)} if kind == "donation" else body

    @staticmethod
    def _signal(rng, name):
        body = {"user_id": f"u-{name}", "source": rng.choice(("web", "mobile", "api")),
                "type": rng.choice(("click", "error")), "payload": {"n": rng.randint(0, 9)}}
        return {**body, "value": _value(rng)} if rng.random() < 0.5 else body

    @staticmethod
    def _reading(rng, name):
        return {"device_id": f"device-{rng.randint(1, 10)}", "value": _value(rng), "unit": name,
                "metric": rng.choice(("temperature", "humidity", "pressure"))}

    @staticmethod
    def _activity(rng, name):
        return {"user_id": f"u-{name}", "event_type": rng.choice(("page_view", "click")),
                "page": f"/page/{rng.randint(1, 5)}"}
