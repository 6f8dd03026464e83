"""The schedules of the ledger test: the same for the same seed, and worth their time."""

from lib.ledger import schedule

SEEDS = range(1, 51)


def test_a_seed_gives_the_same_schedule_each_time():
    assert [schedule.make(seed, 16) for seed in SEEDS] == [schedule.make(seed, 16) for seed in SEEDS]
    assert len({schedule.table(schedule.make(seed, 16)).split("\n", 1)[1] for seed in SEEDS}) == len(SEEDS)


def test_a_known_seed_has_not_changed():
    """Else a seed out of an old report would not replay; a change of the generator changes this line knowingly."""
    assert schedule.table(schedule.make(7, 10)).splitlines()[2:4] == [
        "  3.49   0.48  ingestion  reset      direction=upstream ms=50",
        "  3.83   4.99  redis      latency    direction=downstream ms=100"]


def test_every_fault_of_every_part_comes_and_all_are_over_at_the_end():
    seen = set()
    for seed in SEEDS:
        plan = schedule.make(seed, 16)
        assert plan.workers in (1, 2)
        free = {}
        for fault in plan.faults:
            assert 0 <= fault.at and fault.at + fault.lasts <= 16.001
            assert fault.at >= free.get(fault.target, 0), "two faults of one part overlap"
            free[fault.target] = fault.at + fault.lasts
            seen.add((fault.target, fault.kind))
    assert seen == {(target, kind) for target in schedule.TARGETS for kind in schedule.FAULTS}


def test_a_short_round_still_hits_most_parts():
    for seed in SEEDS:
        assert len({fault.target for fault in schedule.make(seed, 10).faults}) >= 5


def test_the_table_shows_each_fault():
    plan = schedule.make(1, 16)
    lines = schedule.table(plan).splitlines()
    assert lines[0] == f"seed 1, 16 s, {plan.workers} worker(s)"
    assert len(lines) == 2 + len(plan.faults)
