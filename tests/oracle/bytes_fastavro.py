"""Reads data with fastavro, and writes it; run by test_oracle.py with the Python of tests/fetch.

One question per line of standard input, {"schema": TEXT, "data": [HEX]}, one answer per line: {"values": [TEXT],
"written": [HEX]}, what was read and fastavro's own bytes of it. Logical types are left raw."""

import io
import json
import sys

import fastavro
import fastavro.read
import fastavro.schema
import fastavro.write

fastavro.read.LOGICAL_READERS.clear()
fastavro.write.LOGICAL_WRITERS.clear()


def written(schema, value):
    """None where fastavro does not take back what it gave: it finds no branch of a union, or a wrong one."""
    out = io.BytesIO()
    try:
        fastavro.schemaless_writer(out, schema, value)
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError):
        return None
    return out.getvalue().hex()


def values(question):
    """None where fastavro does not take the schema: it knows no name without a namespace within one."""
    try:
        # As a default of a double it takes no 3.
        schema = fastavro.parse_schema(json.loads(question["schema"]), _ignore_default_error=True)
    except fastavro.schema.UnknownType:
        return None
    found, again = [], []
    for data in question["data"]:
        stream = io.BytesIO(bytes.fromhex(data))
        value = fastavro.schemaless_reader(stream, schema, return_record_name=True)
        assert not stream.read(1), "bytes are left over"
        found.append(repr(value))
        again.append(written(schema, value))
    return {"values": found, "written": [data for data in again if data is not None]}


for line in sys.stdin:
    print(json.dumps(values(json.loads(line))))
