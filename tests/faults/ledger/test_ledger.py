"""No fault loses, doubles, mixes up or miscounts an event: three seeds of what `make soak` runs fifty of, on a stack of its
own whose links all lead through a proxy. TIDEGATE_LEDGER_SEEDS names others."""

import os

import pytest
from lib.ledger import rounds
from lib.ledger.world import World
from lib.stack import Stack

SEEDS = [int(seed) for seed in os.environ.get("TIDEGATE_LEDGER_SEEDS", "1 2 3").split()]
SECONDS = 10
APART = 100  # from the shared stack's ports


@pytest.fixture(scope="module")
def world():
    shared = Stack()
    with World(shared.run.with_name(shared.run.name + "-ledger"), shared.base + APART, shared.bin) as own:
        yield own


@pytest.mark.parametrize("number", SEEDS)
def test_every_promise_holds_under_seeded_faults(world, number):
    print(rounds.run(world, number, SECONDS))
