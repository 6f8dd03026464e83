#!/usr/bin/env python3
"""Measures tidegate's bars, each beside the raw limit of the same machine in the same run.

    make bench                          all of it, on each storage engine that the server offers
    loadtest/bench.py --only single     one or more parts, see below
    loadtest/bench.py --engine plain    on that engine only
    loadtest/bench.py --soak 10         and memory's growth over ten minutes of load
    loadtest/bench.py --patience 30     wait before each round until other processes are quiet
    make bench-peers                    --only peers: beside what people run today
    loadtest/bench.py --quick           one round of a tenth: shows in minutes that all of it works
    loadtest/bench.py --markdown build/bench.json …
                                        measures nothing, prints the figures of these runs as a table

On each engine: drain, workers, late. On one of them (TimescaleDB if it is there): idle, codec, registry, visible,
single, simulator, limits, directory, batches, query, and of the gateway (together: gateway) proxied, keys, storms, neighbour,
frozen, refusing; and peers, only when it is named.

It starts a stack of its own for each engine (run directory build/bench-run, ports from 21080, release
programs) and takes it down again. Rounds of ours and of the raw limit alternate; the median of
three counts. A round during which other processes had more than 10 % of the processors is done
again, at most twice; a figure that stays noisy is printed, but is no result.

Exit code: 0 all bars met, 1 one missed, 2 it could not be measured, 3 too noisy to say.
"""

import argparse
import json
import os
import platform
import signal
import sys
import time
from pathlib import Path

from bench import (
    codec, directory, drain, frozen, gateway, late, limits, memory, overload, peers, post, query, registry, simulator,
    visible, workers,
)
from bench.result import NOISE_MAX, Result
from bench.stack import TOP, BenchError, Stack, engines

# Parts of the gateway's own: --only gateway is all of them.
GATEWAY = {
    "proxied": gateway.proxied,
    "keys": gateway.by_keys,
    "storms": overload.storms,
    "neighbour": overload.neighbour,
    "frozen": frozen.frozen,
    "refusing": frozen.refusing,
}
PARTS_ONCE = (
    "idle", "codec", "registry", "visible", "single", "simulator", "limits", "directory", *GATEWAY, "batches", "query",
)
PARTS_EACH = ("drain", "workers", "late")
PARTS = PARTS_ONCE + PARTS_EACH
PEERS = "peers"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=(*PARTS, "gateway", PEERS), default=PARTS, metavar="PART")
    parser.add_argument("--engine", choices=("plain", "timescale"), help="only this one")
    parser.add_argument("--query-rows", type=int, default=5_000_000, metavar="N", help="events to read from")
    parser.add_argument("--soak", type=float, default=0, metavar="MINUTES")
    parser.add_argument("--patience", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--quick", action="store_true", help="one round of a tenth: no result, but all is run")
    parser.add_argument("--run", default=TOP / "build/bench-run", help="run directory (build/bench-run)")
    parser.add_argument("--base", type=int, default=int(os.environ.get("TIDEGATE_BENCH_PORT_BASE", 21080)))
    parser.add_argument("--bin", default=TOP / "build/release/bin", help="programs (build/release/bin)")
    parser.add_argument("--json", default=TOP / "build/bench.json", help="where all figures go (build/bench.json)")
    parser.add_argument("--markdown", nargs="+", metavar="JSON", help="print the figures of these runs as a table")
    return parser.parse_args()


FAILED = []  # what could not be measured, in words


def attempt(stack, part):
    """The results of one part; if it fails, the others go on without its load."""
    try:
        yield from part
    except BenchError as error:
        FAILED.append(str(error))
        print(f"bench: {error}", file=sys.stderr, flush=True)
        running = stack.runs("worker")
        stack.stop("worker")
        stack.forget_backlog()
        drain.empty(stack)
        if running:
            stack.start("worker")


def with_worker(stack, wanted, soak):
    """The order matters: idle before any load."""
    if "idle" in wanted:
        yield from attempt(stack, memory.idle(stack))
    stack.lift_limits()
    if "codec" in wanted:
        yield from attempt(stack, codec.measure(stack))
    if "registry" in wanted:
        yield from attempt(stack, registry.measure(stack))
    if "visible" in wanted:
        yield from attempt(stack, visible.measure(stack))
    if "single" in wanted:
        yield from attempt(stack, post.single(stack))
    if soak > 0:
        yield from attempt(stack, memory.soak(stack, soak))
    if "simulator" in wanted:
        yield from attempt(stack, simulator.measure(stack))
    if "limits" in wanted:
        yield from attempt(stack, limits.measure(stack))
    if "directory" in wanted:
        yield from attempt(stack, directory.measure(stack))
    for name, measure_it in GATEWAY.items():
        if name in wanted or "gateway" in wanted:
            yield from attempt(stack, measure_it(stack))


def without_worker(stack, wanted, rows):
    """Nothing reads what is sent here; at the end nobody remembers it."""
    if "batches" in wanted:
        yield from attempt(stack, post.batches(stack))
    if PEERS in wanted:
        yield from attempt(stack, peers.measure(stack))
    stack.forget_backlog()
    if "query" in wanted:
        yield from attempt(stack, query.measure(stack, rows))


def on_each(stack, wanted):
    if "drain" in wanted:
        yield from attempt(stack, drain.measure(stack))
    if "workers" in wanted:
        yield from attempt(stack, workers.measure(stack))
    if "late" in wanted:
        yield from attempt(stack, late.measure(stack))


def measure(options):
    """One stack for each engine; what depends on none is measured on the last."""
    offered = engines()
    if options.engine not in (None, *offered):
        raise BenchError(f"the PostgreSQL here does not offer the engine '{options.engine}'")
    wanted = [options.engine] if options.engine else offered
    for engine in wanted:
        last = engine == wanted[-1]
        if not last and not set(PARTS_EACH) & set(options.only):
            continue
        with Stack(options.run, options.base, options.bin, engine, options.patience, options.quick) as stack:
            if last:
                yield from with_worker(stack, options.only, options.soak)
                stack.settle()
            stack.stop("worker")
            if last:
                yield from without_worker(stack, options.only, options.query_rows)
            yield from on_each(stack, options.only)


def show(result):
    verdict = "noisy" if result.noisy else "MISSED" if not result.met else "" if result.bar is None else "met"
    print(
        f"{result.title:<44} {number(result.ours):>8} {result.unit:<9} {bar_text(result):<8} {verdict:<7} "
        f"{result.others:>5.0%}  {result.raw}",
        flush=True,
    )
    if result.detail:
        print(f"{'':<44} {result.detail}", flush=True)


def bar_text(result):
    return "no bar" if result.bar is None else f"{'≤' if result.at_most else '≥'} {result.bar:g}"


def number(value):
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def markdown(paths):
    """The table of docs/benchmarks.md."""
    print("| figure | ours | bar | beside it, in the same run | others |\n|---|---|---|---|---|")
    for path in paths:
        for had in json.loads(Path(path).read_text(encoding="utf-8"))["results"]:
            result = Result(**{name: had[name] for name in Result.__dataclass_fields__})
            mark = "" if result.met else "**"
            beside = "; ".join(text for text in (result.raw, result.detail) if text)
            bar = "" if result.bar is None else bar_text(result)
            ours = f"{mark}{number(result.ours)}{mark} {result.unit}".strip()
            print(f"| {result.title} | {ours} | {bar} | {beside} | {result.others:.0%} |")


def write(path, results, seconds):
    Path(path).write_text(
        json.dumps(
            {
                "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "machine": f"{platform.machine()}, {os.cpu_count()} processors, Linux {platform.release()}",
                "seconds": round(seconds, 1),
                "noise_max": NOISE_MAX,
                "results": [result.as_dict() for result in results],
            },
            indent=2,
            ensure_ascii=False,
        )
        + "\n",
        encoding="utf-8",
    )


def verdict(results):
    noisy = [result.title for result in results if result.noisy]
    missed = [result.title for result in results if not result.met and not result.noisy]
    if noisy:
        print(f"\nNot a result: other processes were busy during {'; '.join(noisy)}. Repeat on a quiet machine.")
    if missed:
        print(f"\nMissed: {'; '.join(missed)}.")
    if FAILED:
        print(f"\nNot measured: {'; '.join(FAILED)}.")
    if not noisy and not missed and not FAILED:
        print("\nAll bars met.")
    return 2 if FAILED else 1 if missed else 3 if noisy else 0


def main():
    options = arguments()
    if options.markdown:
        markdown(options.markdown)
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    start = time.monotonic()
    results = []
    print(f"{'':<44} {'ours':>8} {'':<9} {'bar':<8} {'':<7} others  raw limit in the same run", flush=True)
    try:
        for result in measure(options):
            results.append(result)
            show(result)
            write(options.json, results, time.monotonic() - start)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    print(f"\n{time.monotonic() - start:.0f} s; all figures are in {os.path.relpath(options.json)}")
    return verdict(results)


if __name__ == "__main__":
    sys.exit(main())
