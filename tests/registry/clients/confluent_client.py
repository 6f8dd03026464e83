"""Confluent's Python client against a registry; run by test_clients.py with the Python of tests/fetch.

Reads url, user, password, tenant (or operator) and `tasks` as JSON from standard input. What to `do`: "tour" goes
over the client's whole API; "write" serialises `values` for `topic`; "read" deserialises `data`. Prints the results as
JSON."""

import datetime
import decimal
import io
import json
import sys

import fastavro
from confluent_kafka.schema_registry import (Metadata, MetadataProperties, Schema, SchemaReference, SchemaRegistryClient,
                                             ServerConfig, header_schema_id_serializer)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.common.schema_registry_client import ConfigCompatibilityLevel
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

INT_FIELD, TEXT_FIELD = {"name": "a", "type": "int"}, {"name": "b", "type": ["null", "string"], "default": None}


def avro(name, *fields):
    return Schema(json.dumps({"type": "record", "name": name, "fields": list(fields)}), "AVRO")


def refused(call, status, code):
    """The call must fail with exactly this."""
    try:
        found = call()
    except SchemaRegistryError as error:
        assert (error.http_status_code, error.error_code) == (status, code), error
        return
    raise AssertionError(f"{code} expected, {found}")


class Tour:
    def __init__(self, client, stem, tenant):
        self.client, self.stem, self.tenant = client, stem, tenant

    def fresh(self, name):
        return f"{self.stem}-{name}"

    def register_and_look_up(self):
        client, subject = self.client, self.fresh("register-value")
        one, two = avro("R", INT_FIELD), avro("R", INT_FIELD, TEXT_FIELD)
        number = client.register_schema(subject, one)
        client.clear_caches()
        assert client.register_schema(subject, one) == number
        second = client.register_schema_full_response(subject, two)
        assert client.get_versions(subject) == [1, 2] and subject in client.get_subjects()
        client.clear_caches()
        found = client.lookup_schema(subject, one)
        assert (found.schema_id, found.version, found.subject) == (number, 1, subject)
        assert json.loads(client.get_schema(number).schema_str) == json.loads(one.schema_str)
        latest = client.get_latest_version(subject)
        assert (latest.schema_id, latest.version) == (second.schema_id, 2)
        assert client.get_version(subject, 1).schema_id == number
        assert subject in client.get_subjects_by_schema_id(number)
        assert [(one.subject, one.version) for one in client.get_schema_versions(number)].count((subject, 1)) == 1
        assert "AVRO" in client.get_schema_types()
        refused(lambda: client.get_schema(2147483647), 404, 40403)
        refused(lambda: client.get_latest_version(self.fresh("nobody")), 404, 40401)
        refused(lambda: client.get_version(subject, 9), 404, 40402)
        refused(lambda: client.lookup_schema(subject, avro("Other")), 404, 40403)
        refused(lambda: client.register_schema(subject, Schema('{"type":"strng"}', "AVRO")), 422, 42201)
        assert client.register_schema(subject, two, normalize_schemas=True) == second.schema_id

    def compatibility(self):
        client, subject = self.client, self.fresh("compat-value")
        client.register_schema(subject, avro("R", INT_FIELD))
        wrong = avro("R", {"name": "a", "type": "string"})
        assert client.test_compatibility(subject, avro("R", INT_FIELD, TEXT_FIELD))
        assert not client.test_compatibility(subject, wrong)
        assert not client.test_compatibility_all_versions(subject, wrong)
        refused(lambda: client.register_schema(subject, wrong), 409, 409)
        refused(lambda: client.get_config(subject), 404, 40408)
        assert client.set_compatibility(subject, "NONE") == {"compatibility": "NONE"}
        assert client.get_compatibility(subject) == "NONE"
        client.register_schema(subject, wrong)
        full = ConfigCompatibilityLevel.FULL
        assert client.set_config(subject, ServerConfig(compatibility=full))["compatibility"] == full
        assert client.get_config(subject).compatibility_level == full
        client.delete_config(subject)
        refused(lambda: client.get_config(subject), 404, 40408)
        refused(lambda: client.set_compatibility(subject, "SIDEWAYS"), 422, 42203)
        assert client.get_compatibility()

    def references(self):
        client, inner, outer = self.client, self.fresh("inner-value"), self.fresh("outer-value")
        client.register_schema(inner, Schema(json.dumps(
            {"type": "record", "name": "Inner", "namespace": "n", "fields": [INT_FIELD]}), "AVRO"))
        schema = Schema(json.dumps({"type": "record", "name": "Outer", "fields": [{"name": "i", "type": "n.Inner"}]}), "AVRO",
                        [SchemaReference("n.Inner", inner, 1)])
        number = client.register_schema(outer, schema)
        assert client.get_referenced_by(inner, 1) == [number]
        client.clear_caches()
        assert client.get_schema(number).references[0].subject == inner
        refused(lambda: client.delete_subject(inner), 422, 42206)
        context = SerializationContext(self.fresh("outer"), MessageField.VALUE)
        data = AvroSerializer(client, schema)({"i": {"a": 5}}, context)
        assert int.from_bytes(data[1:5], "big") == number
        assert AvroDeserializer(client)(data, context) == {"i": {"a": 5}}

    def serialise(self):
        """With everything registered on the way, with nothing, with the latest, with an id, with a guid in the header."""
        client, topic = self.client, self.fresh("topic")
        context = SerializationContext(topic, MessageField.VALUE)
        one, two = avro("R", INT_FIELD), avro("R", INT_FIELD, TEXT_FIELD)
        closed = AvroSerializer(client, one, conf={"auto.register.schemas": False})
        refused(lambda: closed({"a": 1}, context), 404, 40401)
        number = client.register_schema(f"{topic}-value", one)
        assert closed({"a": 1}, context) == b"\0" + number.to_bytes(4, "big") + b"\x02"
        second = client.register_schema(f"{topic}-value", two)
        newest = AvroSerializer(client, one, conf={"auto.register.schemas": False, "use.latest.version": True})
        assert newest({"a": 1, "b": "x"}, context) == b"\0" + second.to_bytes(4, "big") + b"\x02\x02\x02x"
        fixed = AvroSerializer(client, one, conf={"auto.register.schemas": False, "use.schema.id": number})
        assert fixed({"a": 2}, context) == b"\0" + number.to_bytes(4, "big") + b"\x04"
        assert AvroDeserializer(client, two)(closed({"a": 3}, context), context) == {"a": 3, "b": None}
        headers = []
        with_headers = SerializationContext(topic, MessageField.VALUE, headers)
        by_guid = AvroSerializer(client, two, conf={"schema.id.serializer": header_schema_id_serializer})
        value = {"a": 4, "b": "text"}  # the client reads no fewer than six bytes
        data = by_guid(value, with_headers)
        assert data == b"\x08\x02\x08text" and headers[0][1][0] == 1 and len(headers[0][1]) == 17, (data, headers)
        client.clear_caches()
        assert AvroDeserializer(client)(data, with_headers) == value
        try:
            AvroDeserializer(client)(b"\0\x7f\xff\xff\xff\x02", context)
        except (SchemaRegistryError, SerializationError) as error:
            assert "40403" in str(error) or getattr(error, "error_code", 0) == 40403, error
        else:
            raise AssertionError("a schema that nobody has was found")

    def metadata(self):
        client, subject = self.client, self.fresh("meta-value")
        properties = lambda owner: Metadata(tags=None, properties=MetadataProperties({"owner": owner}), sensitive=None)
        first = client.register_schema(subject, Schema(avro("R", INT_FIELD).schema_str, "AVRO", [], properties("bob")))
        client.register_schema(subject, Schema(avro("R", INT_FIELD, TEXT_FIELD).schema_str, "AVRO", [], properties("eve")))
        assert client.get_latest_with_metadata(subject, {"owner": "bob"}).schema_id == first
        assert client.get_schema_by_guid(client.get_version(subject, 1).guid).schema_str

    def deletion(self):
        client, subject = self.client, self.fresh("delete-value")
        client.register_schema(subject, avro("R", INT_FIELD))
        client.register_schema(subject, avro("R", INT_FIELD, TEXT_FIELD))
        refused(lambda: client.delete_version(subject, 7), 404, 40402)
        assert client.delete_version(subject, 1) == 1
        assert client.get_versions(subject) == [2] and client.get_versions(subject, deleted=True) == [1, 2]
        assert client.get_version(subject, 1, deleted=True).version == 1
        assert client.delete_version(subject, 1, permanent=True) == 1
        assert client.delete_subject(subject) == [2]
        assert subject not in client.get_subjects() and subject in client.get_subjects(deleted=True)
        assert client.delete_subject(subject, permanent=True) == [2]
        refused(lambda: client.get_versions(subject), 404, 40401)

    def modes(self):
        client, subject = self.client, self.fresh("mode-value")
        assert client.get_global_mode() == "READWRITE"
        assert client.update_mode(subject, "READONLY") == "READONLY" and client.get_mode(subject) == "READONLY"
        refused(lambda: client.register_schema(subject, avro("R", INT_FIELD)), 422, 42205)
        client.delete_mode(subject)
        refused(lambda: client.get_mode(subject), 404, 40409)
        client.register_schema(subject, avro("R", INT_FIELD))

    def contexts(self):
        client = self.client
        if self.tenant:
            assert client.get_contexts() == ["."]
            refused(lambda: client.get_versions(":.other:s"), 422, 42211)
            return
        name = f".{self.stem}"
        number = client.register_schema(f":{name}:s", avro("R", INT_FIELD))
        assert name in client.get_contexts() and client.get_versions(f":{name}:s") == [1]
        assert client.get_subjects(subject_prefix=f":{name}:") == [f":{name}:s"]
        client.clear_caches()
        assert client.get_schema(number, subject_name=f":{name}:s").schema_str
        inside = client_of(f"{ACCESS['url']}/contexts/:{name}:")
        assert inside.get_latest_version("s").schema_id == number

    def logical_types(self):
        """What the client writes with fastavro comes back as the same Python values."""
        schema = Schema(json.dumps({"type": "record", "name": "L", "fields": [
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "on", "type": {"type": "int", "logicalType": "date"}},
            {"name": "sum", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}}]}), "AVRO")
        value = {"at": datetime.datetime(2026, 2, 3, 10, 0, 0, 123456, tzinfo=datetime.timezone.utc),
                 "on": datetime.date(2026, 2, 3), "sum": decimal.Decimal("-12345.67")}
        context = SerializationContext(self.fresh("logical"), MessageField.VALUE)
        data = AvroSerializer(self.client, schema)(value, context)
        self.client.clear_caches()
        assert AvroDeserializer(self.client)(data, context) == value

    STEPS = ("register_and_look_up", "compatibility", "references", "serialise", "metadata", "deletion", "modes",
             "contexts", "logical_types")


def client_of(url):
    return SchemaRegistryClient({"url": url, "basic.auth.user.info": f"{ACCESS['user']}:{ACCESS['password']}",
                                 "max.retries": 0})


def from_json(value):
    """Bytes come as {"hex": ...}."""
    if isinstance(value, dict):
        return bytes.fromhex(value["hex"]) if value.keys() == {"hex"} else {key: from_json(item) for key, item in value.items()}
    return [from_json(item) for item in value] if isinstance(value, list) else value


def tour(client, task):
    for step in Tour.STEPS:
        try:
            getattr(Tour(client, task["stem"], ACCESS["tenant"]), step)()
        except Exception as error:
            raise AssertionError(f"{step}: {error}") from error
    return list(Tour.STEPS)


def write(client, task):
    serialise = AvroSerializer(client, task["schema"])  # registers with its first value
    context = SerializationContext(task["topic"], MessageField.VALUE)
    data = [serialise(from_json(value), context) for value in task["values"]]
    for one, value in zip(data, task["values"]):  # fastavro by itself writes the same
        out = io.BytesIO()
        fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(task["schema"])), from_json(value))
        assert out.getvalue() == one[5:], (out.getvalue(), one)
    return [one.hex() for one in data]


def read(client, task):
    deserialise = AvroDeserializer(client)
    context = SerializationContext(task["topic"], MessageField.VALUE)
    return [deserialise(bytes.fromhex(one), context) for one in task["data"]]


def to_json(value):
    return {"hex": value.hex()} if isinstance(value, bytes) else str(value)


ACCESS = json.load(sys.stdin)
DO = {"tour": tour, "write": write, "read": read}
print(json.dumps([DO[task["do"]](client_of(ACCESS["url"]), task) for task in ACCESS["tasks"]], default=to_json))
