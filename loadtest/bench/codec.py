"""JSON to Avro, Avro to a row, and a newer schema: bench_codec, whose first line (simdjson's parse alone) is the raw
limit of the way in, and whose last ones are libavro with the same order."""

import re
import subprocess

from bench.result import Result, middle, rounds, say
from bench.stack import TOP

LINE = re.compile(r"^  (.+?)\s+median\s+([0-9.]+) ns .*?([0-9.]+) allocations", re.MULTILINE)
NAMES = {
    "JSON parse to nodes": "parse",
    "parse + Avro encoding": "avro",
    "parse + checks + time + identity + Kafka value": "event",
    "Kafka value to store row and payload": "row",
    "resolution with one added default field": "resolve",
    "libavro: fill and write, nothing parsed": "libavro_write",
    "libavro: read, one schema": "libavro_read",
}
OURS = ("avro", "event", "row", "resolve")


def measure(stack):
    def once():
        done = subprocess.run(
            [str(stack.bin / "bench_codec"), "11"], cwd=TOP, check=True, capture_output=True, text=True
        )
        long_order = done.stdout.rpartition("order of ")[2]
        lines = {NAMES[name]: (float(ns), float(made)) for name, ns, made in LINE.findall(long_order) if name in NAMES}
        had = {name: ns for name, (ns, _) in lines.items()}
        return had | {"allocations": sum(lines[name][1] for name in OURS)}

    say("JSON to Avro")
    had, others = rounds(stack, once)
    event = middle(had, "event")
    known = {name: middle(had, name) for name in [*NAMES.values(), "allocations"] if name in had[0]}
    libavro = {name: f"libavro {known[name]:.0f} ns" for name in ("libavro_write", "libavro_read") if name in known}
    write, read = libavro.get("libavro_write"), libavro.get("libavro_read")
    made = f"{known['allocations']:.1f} allocations per event"
    yield Result(
        name="JSON → Avro, one order",
        unit="ns",
        ours=known["avro"],
        bar=300,
        raw=f"simdjson's parse alone {known['parse']:.0f} ns" + (f", {write} without a parse" if write else ""),
        detail=f"with checks, time, identity and key {event:.0f} ns; {made}",
        others=others,
        figures=known,
    )
    yield Result(
        name="Avro → row, one order",
        unit="ns",
        ours=known["row"],
        bar=100,
        raw=f"{read} into its value" if read else "",
        detail=made,
        others=others,
    )
    yield Result(
        name="Avro by an older schema → Avro by a newer one",
        unit="ns",
        ours=known["resolve"],
        bar=150,
        raw=f"{read} by one schema" if read else "",
        detail=f"one order, one added field with a default; {made}",
        others=others,
    )
