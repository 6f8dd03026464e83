#!/usr/bin/python3
"""Compares our codec with Apache Avro for Java on many random pairs of schemas, until some differ.

    tests/oracle/soak.py                  12,000 pairs (ORACLE_FROM=1 ORACLE_PAIRS=12000)
    tests/oracle/soak.py --show 17        prints that pair, asks nobody"""

import argparse
import os
import sys
import time

import oracle
import pairs

CHUNK = 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", type=int, metavar="SEED", help="print one pair")
    options = parser.parse_args()
    if options.show is not None:
        pair = pairs.make(options.show)
        print(f"{', '.join(pair.changes)}\nreader {pair.reader_text}\nwriter {pair.writer_text}\ndata {pair.data}")
        return 0
    first = int(os.environ.get("ORACLE_FROM", 1))
    end = first + int(os.environ.get("ORACLE_PAIRS", 12000))
    started, total, compatible = time.monotonic(), 0, 0
    for start in range(first, end, CHUNK):
        count, fit, found = pairs.compare(range(start, min(start + CHUNK, end)), oracle.java(), oracle.ours(), oracle.ask)
        total, compatible = total + count, compatible + fit
        if found:
            print(f"{len(found)} differences in {count} pairs, of which:", *found[:10], sep="\n\n")
            return 1
    print(f"{total} pairs in {time.monotonic() - started:.0f} s, {compatible} compatible: Java agrees on all of them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
