"""JSON to Avro: bench_codec, whose first line (simdjson's parse alone) is the raw limit."""

import re
import subprocess

from bench.result import Result, middle, rounds, say
from bench.stack import TOP

LINE = re.compile(r"^  (.+?)\s+median\s+([0-9.]+) ns", re.MULTILINE)
NAMES = {
    "JSON parse to nodes": "parse",
    "parse + Avro encoding": "avro",
    "parse + checks + time + identity + Kafka value": "event",
    "Kafka value to store row and payload": "row",
}


def measure(stack):
    def once():
        done = subprocess.run(
            [str(stack.bin / "bench_codec"), "11"], cwd=TOP, check=True, capture_output=True, text=True
        )
        long_order = done.stdout.rpartition("order of ")[2]
        return {NAMES[name]: float(ns) for name, ns in LINE.findall(long_order) if name in NAMES}

    say("JSON to Avro")
    had, others = rounds(stack, once)
    event = middle(had, "event")
    yield Result(
        name="JSON → Avro, one order",
        unit="ns",
        ours=middle(had, "avro"),
        bar=350,
        raw=f"simdjson's parse alone {middle(had, 'parse'):.0f} ns",
        detail=f"with checks, time, identity and key {event:.0f} ns; back to a row {middle(had, 'row'):.0f} ns",
        others=others,
        figures={name: middle(had, name) for name in NAMES.values()},
    )
