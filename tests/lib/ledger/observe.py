"""Reads what is stored after a round, for the judge."""

import psycopg2
from confluent_kafka import TopicPartition
from lib.ledger.check import LEVELS, Cell, Letter, Observed, Row

DEAD_TOPIC = "events.dlq"
DEAD_PARTITIONS = 3
CELLS = f"tenant_id, type, bucket, kind, entity, {', '.join(Cell._fields)}"


class Observer:
    """Made before a round begins: what was there then is another round's affair."""

    def __init__(self, store, topics):
        self.store = store
        self.topics = topics
        self.since = store.owner.one("SELECT now()")
        self.dead_since = topics.ends(DEAD_TOPIC, DEAD_PARTITIONS)

    def look(self, tenants):
        observed = Observed(rows=self._rows(tenants), states=self._states(tenants), letters=self._letters(),
                            published=self._published())
        for tenant in tenants:
            self._look_as(tenant, observed)
        return observed

    def _rows(self, tenants):
        """Whatever was stored since, by whomever, and all that these tenants have."""
        return [Row(tenant, event_type, user or (payload or {}).get("unit"), *rest)
                for tenant, event_type, user, payload, *rest in self.store.owner.rows(
                    "SELECT tenant_id, type, user_id, payload, event_id, occurred_at, kind, entity, value"
                    " FROM data.events WHERE processed_at >= %s OR tenant_id = ANY(%s)", self.since, tenants)]

    def _states(self, tenants):
        return [(tuple(row[:4]), row[4]) for row in self.store.owner.rows(
            "SELECT tenant_id, type, entity, name, value FROM data.stream_state WHERE tenant_id = ANY(%s)", tenants)]

    def _letters(self):
        return [Letter(*row) for row in self.store.owner.rows(
            "SELECT topic, partition, record_offset, tenant_id, error_code FROM data.dead_letters"
            " WHERE created_at >= %s", self.since)]

    def unpublished(self):
        return self.store.owner.one("SELECT count(*) FROM data.dead_letters WHERE published_at IS NULL")

    def marked_hours(self, tenants):
        """Closed hours and days that maintenance has yet to roll up."""
        return self.store.owner.one(
            "SELECT (SELECT count(*) FROM data.touched_hours WHERE hour <= now() - interval '1 hour'"
            " AND tenant_id = ANY(%s)) + (SELECT count(*) FROM data.touched_days"
            " WHERE day <= now() - interval '1 day' AND tenant_id = ANY(%s))", tenants, tenants)

    def _published(self):
        """(topic, partition, offset) of the dead letters in their topic."""
        ends = self.topics.ends(DEAD_TOPIC, DEAD_PARTITIONS)
        found, left = set(), sum(ends) - sum(self.dead_since)
        reader = self.topics.reader()
        try:
            reader.assign([TopicPartition(DEAD_TOPIC, number, first) for number, first in enumerate(self.dead_since)])
            while left > 0:
                message = reader.poll(20)
                assert message is not None, f"{left} records of {DEAD_TOPIC} could not be read"
                if message.error() is None:
                    left -= 1
                    told = {name: value.decode() for name, value in message.headers() if name.startswith("tg-dlq-")}
                    found.add((told["tg-dlq-topic"], int(told["tg-dlq-partition"]), int(told["tg-dlq-offset"])))
        finally:
            reader.close()
        return found

    def _look_as(self, tenant, observed):
        """All aggregates as the query service has them for a tenant, and the minutes as they are."""
        with psycopg2.connect(self.store.reader_dsn) as connection, connection.cursor() as cursor:
            cursor.execute("SET LOCAL timezone = 'UTC'")
            cursor.execute("SELECT set_config('tidegate.tenant', %s, true)", (tenant,))
            cursor.execute("SELECT DISTINCT tenant_id FROM api.events")
            observed.seen[tenant] = {row[0] for row in cursor.fetchall()}
            for level in LEVELS:
                cursor.execute(f"SELECT {CELLS} FROM api.metric_{level}")
                rows = cursor.fetchall()
                observed.seen[tenant] |= {row[0] for row in rows}
                observed.cells[f"api.metric_{level}", level, tenant] = _pairs(rows)
        connection.close()
        observed.cells["data.metric_minute", "minute", tenant] = _pairs(self.store.owner.rows(
            f"SELECT {CELLS} FROM data.metric_minute WHERE tenant_id = %s", tenant))


def _pairs(rows):
    return [(tuple(row[1:5]), Cell(*row[5:])) for row in rows]
