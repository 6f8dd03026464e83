"""schemathesis against the running stack: no server error, no status, header or body that the descriptions do not
have, no key that is needed and not asked for. All three run at the same time."""

import os
import pathlib
import subprocess
import uuid

import pytest
from lib.stack import ROOT
from lib.tenants import PLAN, Tenant

HERE = pathlib.Path(__file__).parent
NAMES = ("v1", "v2", "admin")
EXAMPLES = "4"  # for each operation, beside those that cover its parameters' bounds
SECONDS = 240  # for all; 20 on a quiet machine


def program():
    done = subprocess.run([ROOT / "tests" / "fetch", "path", "openapi"], capture_output=True, text=True, check=True)
    python = pathlib.Path(done.stdout) / "venv" / "bin" / "python"
    if not python.exists():
        pytest.fail(f"{python} is missing: run tests/fetch (make test does)")
    return [str(python), "-m", "schemathesis.cli"]


def command(url, name, seed):
    return ["nice", *program(), "--config-file", str(HERE / "schemathesis.toml"), "run",
            str(ROOT / "openapi" / f"{name}.json"), "--url", url, "--seed", str(seed),
            "--max-examples", EXAMPLES, "--no-shrink"]


def own_things(stack):
    """A tenant, a key and a plan that the admin API may be tried on."""
    name = f"openapi-{uuid.uuid4().hex[:12]}"
    stack.cli("tenant", "create", name, "--plan", PLAN)
    stack.cli("plan", "set", name, "--requests-per-second", "10", "--burst", "10")
    key = stack.cli("key", "create", "--tenant", name, "--scopes", "read")
    return {"TIDEGATE_OWN_TENANT": name, "TIDEGATE_OWN_PLAN": name, "TIDEGATE_OWN_KEY": key[3:15]}


@pytest.fixture(scope="module")
def runs(stack, store, tmp_path_factory):
    """name → (process, file of its output). The same questions each time; TIDEGATE_TEST_SEED=N asks others."""
    seed = os.environ.get("TIDEGATE_TEST_SEED", "1")
    folder = tmp_path_factory.mktemp("schemathesis")
    caller = Tenant(stack, store)
    operator = stack.cli("admin", "bootstrap")
    things = own_things(stack)
    started = {}
    for name in NAMES:
        output = folder / f"{name}.out"
        environment = {**os.environ, **things, "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1",
                       "TIDEGATE_KEY": operator if name == "admin" else caller.key}
        with output.open("wb") as out:
            started[name] = (subprocess.Popen(command(stack.url, name, seed), env=environment, cwd=folder,
                                              stdin=subprocess.DEVNULL, stdout=out, stderr=out), output)
    yield started
    for process, _ in started.values():
        process.kill()
        process.wait()
    stack.cli("key", "revoke", operator[3:15])
    assert caller.api.get("/v1/kpi/latest").status_code == 200, "the key was good to the end"


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_as_described(runs, descriptions, name):
    process, output = runs[name]
    status = process.wait(timeout=SECONDS)
    text = output.read_text(encoding="utf-8", errors="replace")
    assert status == 0, "\n".join(line[:500] for line in text.splitlines())
    operations = sum(len(item) for item in descriptions[name]["paths"].values())
    assert f"Tested: {operations}" in text, text[-3000:]
