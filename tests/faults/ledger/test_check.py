"""The judge of the ledger test can say no: each kind of violation, put into a history that is otherwise right, is found,
and nothing else is."""

import datetime
import decimal
import uuid

import pytest
from lib.ledger import check
from lib.ledger.check import Cell, Ledger, Letter, Observed, Row, Sent

NOON = datetime.datetime(2026, 3, 1, 12, 0, 30, 123456, datetime.timezone.utc)
SECOND = datetime.timedelta(seconds=1)
LETTER = Letter("events.order", 2, 17, "a", "bad_framing")


def name(mark):
    return uuid.uuid5(uuid.NAMESPACE_DNS, mark)


def sent(tenant, kind, value, acknowledged=True, own_time=False, mark=""):
    return Sent(tenant, "stream", kind, "s-1", value, time=None if own_time else NOON, event_id=name(mark),
                first_sent=NOON - SECOND, last_answer=NOON + SECOND, told={name(mark)} if acknowledged else set())


def row(mark, entry):
    return Row(entry.tenant, entry.type, mark, entry.event_id, NOON, entry.kind, entry.entity, entry.value)


def aggregates(rows, tenants):
    """What a store without fault would show of these rows."""
    cells, states = {}, check.fold_states(rows)
    for tenant in tenants:
        own = [one for one in rows if one.tenant == tenant]
        for level in check.LEVELS:
            cells[f"api.metric_{level}", level, tenant] = list(check.fold(own, level).items())
    return {"cells": cells, "states": list(states.items()), "seen": {tenant: {tenant} for tenant in tenants}}


@pytest.fixture
def ledger():
    """Two tenants; one event whose fate is unknown (u), one with the store's own time (t)."""
    entries = {"a": ("a", "donation", 0.1), "b": ("a", "donation", 0.2), "c": ("b", "viewer_join", None),
               "u": ("b", "viewer_join", None), "t": ("b", "viewer_leave", None)}
    made = {mark: sent(*rest, acknowledged=mark != "u", own_time=mark == "t", mark=mark)
            for mark, rest in entries.items()}
    return Ledger(made, {LETTER}, [])


def stored(ledger, rows):
    return Observed(rows, **aggregates(rows, ("a", "b")), letters=[LETTER], published={LETTER[:3]})


def good_rows(ledger):
    return [row(mark, ledger.sent[mark]) for mark in ("a", "b", "c", "t")]


@pytest.fixture
def observed(ledger):
    return stored(ledger, good_rows(ledger))


def kinds(ledger, observed):
    return {violation.kind for violation in check.check(ledger, observed)}


def put_cell(observed, key, change):
    """Replaces the only cell of a source by change(cell)."""
    ((place, cell),) = observed.cells[key]
    observed.cells[key] = [(place, change(cell))]


def test_a_right_history_has_no_violation(ledger, observed):
    assert check.check(ledger, observed) == []


def test_an_event_of_unknown_fate_may_be_stored(ledger):
    assert check.check(ledger, stored(ledger, [*good_rows(ledger), row("u", ledger.sent["u"])])) == []


def test_a_lost_event_is_found(ledger):
    assert kinds(ledger, stored(ledger, good_rows(ledger)[1:])) == {"lost"}


@pytest.mark.parametrize("mark", ["a", "u"])
def test_a_doubled_event_is_found(ledger, mark):
    twice = row(mark, ledger.sent[mark])
    rows = [*(one for one in good_rows(ledger) if one.mark != mark), twice, twice]
    assert kinds(ledger, stored(ledger, rows)) == {"doubled"}


def test_a_double_under_another_id_or_time_is_found(ledger):
    other_id = row("a", ledger.sent["a"])._replace(event_id=name("other"))
    assert kinds(ledger, stored(ledger, [*good_rows(ledger), other_id])) == {"doubled", "identity"}
    later = row("a", ledger.sent["a"])._replace(occurred_at=NOON + SECOND)
    assert kinds(ledger, stored(ledger, [*good_rows(ledger), later])) == {"doubled", "time"}


def test_a_row_that_nobody_sent_is_found(ledger):
    ghost = row("a", ledger.sent["a"])._replace(mark="ghost")
    assert kinds(ledger, stored(ledger, [*good_rows(ledger), ghost])) == {"never sent"}


def test_a_row_in_a_foreign_tenant_is_found(ledger):
    rows = good_rows(ledger)
    rows[0] = rows[0]._replace(tenant="b")
    assert kinds(ledger, stored(ledger, rows)) == {"foreign"}


def test_a_row_in_a_tenant_of_no_one_is_found(ledger):
    rows = good_rows(ledger)
    rows[0] = rows[0]._replace(tenant="z")
    assert "foreign" in kinds(ledger, stored(ledger, rows))


def test_a_tenant_that_can_read_anothers_rows_is_found(ledger, observed):
    observed.seen["a"].add("b")
    assert kinds(ledger, observed) == {"foreign"}


@pytest.mark.parametrize("change", [{"value": 0.3}, {"value": None}, {"kind": "chat_message"}, {"entity": "s-2"},
                                    {"type": "order"}])
def test_changed_content_is_found(ledger, change):
    rows = good_rows(ledger)
    rows[0] = rows[0]._replace(**change)
    assert kinds(ledger, stored(ledger, rows)) == {"changed"}


def test_another_id_than_the_answers_is_found(ledger, observed):
    ledger.sent["a"].event_id = None
    ledger.sent["a"].told = {name("else")}
    assert kinds(ledger, observed) == {"identity"}


def test_two_ids_for_one_event_are_found(ledger, observed):
    ledger.sent["a"].told.add(name("else"))
    assert kinds(ledger, observed) == {"identity"}


@pytest.mark.parametrize("moved", [datetime.timedelta(microseconds=1), -datetime.timedelta(days=1)])
def test_a_clients_time_that_moved_is_found(ledger, moved):
    rows = good_rows(ledger)
    rows[0] = rows[0]._replace(occurred_at=NOON + moved)
    assert kinds(ledger, stored(ledger, rows)) == {"time"}


@pytest.mark.parametrize("moved", [-2 * SECOND, 2 * SECOND])
def test_a_time_of_our_own_outside_of_the_sending_is_found(ledger, moved):
    rows = good_rows(ledger)
    rows[-1] = rows[-1]._replace(occurred_at=NOON + moved)
    assert kinds(ledger, stored(ledger, rows)) == {"time"}


@pytest.mark.parametrize("level", check.LEVELS)
@pytest.mark.parametrize("change", [
    {"count": 3}, {"value_count": 1}, {"sum": decimal.Decimal("0.30000000000000001")}, {"min": 0.2}, {"max": None}])
def test_a_wrong_number_in_an_aggregate_is_found(ledger, observed, level, change):
    put_cell(observed, (f"api.metric_{level}", level, "a"), lambda cell: cell._replace(**change))
    assert kinds(ledger, observed) == {"aggregate"}


def test_sums_are_those_of_decimals_not_of_doubles(ledger, observed):
    ((_, cell),) = observed.cells["api.metric_day", "day", "a"]
    assert cell == Cell(2, 2, decimal.Decimal("0.3"), 0.1, 0.2)
    assert 0.1 + 0.2 != 0.3


@pytest.mark.parametrize("level", check.LEVELS)
def test_a_missing_an_extra_and_a_doubled_cell_are_found(ledger, observed, level):
    key = f"api.metric_{level}", level, "b"
    right = observed.cells[key]
    ghost = ((*right[0][0][:3], "ghost"), right[0][1])
    for wrong in (right[1:], [*right, ghost], [*right, right[0]]):
        observed.cells[key] = wrong
        assert kinds(ledger, observed) == {"aggregate"}


def test_a_row_that_no_aggregate_counts_is_found(ledger, observed):
    observed.rows.append(row("u", ledger.sent["u"]))
    assert kinds(ledger, observed) == {"aggregate", "state"}


def test_a_wrong_running_state_is_found(ledger, observed):
    assert observed.states == [(("b", "stream", "s-1", "active_viewers"), 0)]
    for wrong in ([(observed.states[0][0], 1)], observed.states * 2, [(("b", "stream", "s-2", "active_viewers"), 1)]):
        observed.states = wrong
        assert kinds(ledger, observed) == {"state"}


def test_a_missing_dead_letter_is_found(ledger, observed):
    observed.letters = []
    assert kinds(ledger, observed) == {"dead letter"}


@pytest.mark.parametrize("change", [{"tenant": "b"}, {"tenant": None}, {"code": "undecodable"}, {"offset": 18}])
def test_a_dead_letter_told_wrongly_is_found(ledger, observed, change):
    observed.letters = [LETTER._replace(**change)]
    assert kinds(ledger, observed) == {"dead letter"}


def test_a_doubled_dead_letter_is_found(ledger, observed):
    observed.letters = [LETTER, LETTER]
    assert kinds(ledger, observed) == {"dead letter"}


def test_a_good_record_that_became_a_dead_letter_is_found(ledger, observed):
    observed.letters.append(LETTER._replace(offset=18))
    assert kinds(ledger, observed) == {"dead letter"}


def test_a_dead_letter_that_is_not_in_its_topic_is_found(ledger, observed):
    observed.published = set()
    assert kinds(ledger, observed) == {"dead letter"}


def test_an_answer_that_no_promise_allows_is_a_violation(ledger, observed):
    ledger.answers.append("500 for /v1/events/order")
    assert kinds(ledger, observed) == {"answer"}


def test_the_report_names_every_kind_and_shortens_long_lists(ledger):
    rows = [row("a", ledger.sent["a"])._replace(mark=f"ghost {number}") for number in range(40)]
    text = check.report(check.check(ledger, stored(ledger, rows)))
    assert "never sent: 40\n" in text and "lost: 4\n" in text
    assert text.count("ghost") <= 2 * check.SHOWN
