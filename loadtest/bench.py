#!/usr/bin/env python3
"""Measures tidegate's bars, each beside the raw limit of the same machine in the same run.

    make bench                          all of it, in less than six minutes
    loadtest/bench.py --only single     one or more of: idle codec single batches drain visible
    loadtest/bench.py --soak 10         and memory's growth over ten minutes of load
    loadtest/bench.py --patience 30     wait before each round until other processes are quiet

It starts a stack of its own (run directory build/bench-run, ports from 21080, release programs) and
takes it down again. Rounds of ours and of the raw limit alternate; the median of three counts. A
round during which other processes had more than 10 % of the processors is done again, at most
twice; a figure that stays noisy is printed, but is no result.

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

from bench import codec, drain, memory, post, visible
from bench.result import NOISE_MAX
from bench.stack import TOP, BenchError, Stack

PARTS = ("idle", "codec", "single", "batches", "drain", "visible")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    parser.add_argument("--soak", type=float, default=0, metavar="MINUTES")
    parser.add_argument("--patience", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--run", default=TOP / "build/bench-run", help="run directory (build/bench-run)")
    parser.add_argument("--base", type=int, default=int(os.environ.get("TIDEGATE_BENCH_PORT_BASE", 21080)))
    parser.add_argument("--bin", default=TOP / "build/release/bin", help="programs (build/release/bin)")
    parser.add_argument("--json", default=TOP / "build/bench.json", help="where all figures go (build/bench.json)")
    return parser.parse_args()


def measure(stack, wanted, soak):
    """The order matters: idle before any load; the worker is away for batches and drain."""
    if "idle" in wanted:
        yield memory.idle(stack)
    stack.lift_limits()
    if "codec" in wanted:
        yield codec.measure(stack)
    if "visible" in wanted:
        yield from visible.measure(stack)
    if "single" in wanted:
        yield from post.single(stack)
        stack.settle()
    if soak > 0:
        yield memory.soak(stack, soak)
        stack.settle()
    stack.stop("worker")
    if "batches" in wanted:
        yield post.batches(stack)
        stack.forget_backlog()
    if "drain" in wanted:
        yield from drain.measure(stack)


def show(result):
    sign = "≤" if result.at_most else "≥"
    verdict = "noisy" if result.noisy else "met" if result.met else "MISSED"
    digits = 0 if result.ours >= 100 else 1
    print(
        f"{result.name:<33} {result.ours:>8,.{digits}f} {result.unit:<9} {sign} {result.bar:<5g} {verdict:<7} "
        f"{result.others:>5.0%}  {result.raw}",
        flush=True,
    )
    if result.detail:
        print(f"{'':<33} {result.detail}", flush=True)


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
    noisy = [result.name for result in results if result.noisy]
    missed = [result.name for result in results if not result.met and not result.noisy]
    if noisy:
        print(f"\nNot a result: other processes were busy during {'; '.join(noisy)}. Repeat on a quiet machine.")
    if missed:
        print(f"\nMissed: {'; '.join(missed)}.")
    if not noisy and not missed:
        print("\nAll bars met.")
    return 1 if missed else 3 if noisy else 0


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    start = time.monotonic()
    results = []
    print(f"{'':<33} {'ours':>8} {'':<9} {'bar':<7} {'':<7} others  raw limit in the same run")
    try:
        with Stack(options.run, options.base, options.bin, options.patience) as stack:
            for result in measure(stack, options.only, options.soak):
                results.append(result)
                show(result)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    finally:
        write(options.json, results, time.monotonic() - start)
    print(f"\n{time.monotonic() - start:.0f} s; all figures are in {os.path.relpath(options.json)}")
    return verdict(results)


if __name__ == "__main__":
    sys.exit(main())
