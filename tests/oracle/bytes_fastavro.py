"""Reads data with fastavro; run by test_oracle.py with the Python of tests/fetch.

One question per line of standard input, {"schema": TEXT, "data": [HEX]}, one answer per line, the values as text.
Logical types are left raw."""

import io
import json
import sys

import fastavro
import fastavro.read
import fastavro.schema

fastavro.read.LOGICAL_READERS.clear()



def values(question):
    """None where fastavro does not take the schema: it knows no name without a namespace within one."""
    try:
        # As a default of a double it takes no 3.
        schema = fastavro.parse_schema(json.loads(question["schema"]), _ignore_default_error=True)
    except fastavro.schema.UnknownType:
        return None
    found = []
    for data in question["data"]:
        stream = io.BytesIO(bytes.fromhex(data))
        found.append(repr(fastavro.schemaless_reader(stream, schema, return_record_name=True)))
        assert not stream.read(1), "bytes are left over"
    return found


for line in sys.stdin:
    print(json.dumps(values(json.loads(line))))
