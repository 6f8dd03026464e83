"""`make smoke` and `make load` pass on a good stack, and fail with a reason on one that is not."""

import os
import subprocess
import sys

import pytest
from lib.stack import ROOT

SCRIPTS = ("tests/smoke.py", "loadtest/load.py")


def run(stack, script, **changes):
    environment = {**os.environ, "TIDEGATE_RUN": str(stack.run), "TIDEGATE_PORT_BASE": str(stack.base),
                   "TIDEGATE_BIN": str(stack.bin), **changes}
    return subprocess.run([sys.executable, str(ROOT / script)], env=environment, capture_output=True, text=True,
                          timeout=60, check=False)


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_passes_twice(stack, script):
    for _ in range(2):
        done = run(stack, script)
        assert done.returncode == 0, done.stdout + done.stderr


def test_smoke_names_what_it_checked(stack):
    lines = run(stack, "tests/smoke.py").stdout.splitlines()
    assert lines[-1] == "all is well"
    told = "\n".join(line for line in lines if line.startswith("ok "))
    for word in ("topics", "partitions exist", "offsets", "worker is healthy", "rows of the last minute",
                 "donation's sum", "order's revenue", "health and metrics"):
        assert word in told, word


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_fails_with_what_to_do_when_nothing_runs(stack, script, tmp_path):
    done = run(stack, script, TIDEGATE_RUN=str(tmp_path))
    assert done.returncode == 1
    assert "make up" in done.stdout and "Traceback" not in done.stdout + done.stderr


def test_smoke_notices_a_worker_that_is_away(stack):
    stack.stop("worker")
    try:
        done = run(stack, "tests/smoke.py")
    finally:
        stack.start("worker")
    assert done.returncode == 1
    assert "FAILED" in done.stdout and "worker" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
