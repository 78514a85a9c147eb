"""Budgets: thresholds, windows, subjects, and what late and skewed events do to them."""

from typing import Any

import pytest

from ledgers import DAY, T0, Log, event

TODAY = "2026-03-10T00:00:00.000Z"
YESTERDAY = "2026-03-09T00:00:00.000Z"


def test_thresholds_fire_once_each_in_order() -> None:
    log = Log().set_budget()
    for _ in range(12):
        log.spend("0.10")
    assert log.said() == [("warn", 70), ("warn", 90), ("block", 100)]


@pytest.mark.parametrize(
    ("costs", "said"),
    [
        (["0.699999999999"], []),
        (["0.70"], [("warn", 70)]),
        (["0.90"], [("warn", 70), ("warn", 90)]),
        (["0.999999999999"], [("warn", 70), ("warn", 90)]),
        (["1.00"], [("warn", 70), ("warn", 90), ("block", 100)]),
        (["5.00"], [("warn", 70), ("warn", 90), ("block", 100)]),
        (["0.75", "0.10", "5"], [("warn", 70), ("warn", 90), ("block", 100)]),
    ],
)
def test_one_event_may_jump_over_several_thresholds(
    costs: list[str], said: list[tuple[str, int]]
) -> None:
    log = Log().set_budget()
    for cost in costs:
        log.spend(cost)
    assert log.said() == said


@pytest.mark.parametrize(
    ("cost", "reason"),
    [("0.95", "budget_near"), ("1.00", "budget_exhausted"), ("1.01", "budget_exceeded")],
)
def test_exhausted_and_exceeded_are_told_apart(cost: str, reason: str) -> None:
    log = Log().set_budget().spend(cost)
    assert log.decisions()[-1].reason == reason


def test_a_decision_says_what_was_spent_of_which_limit_and_why() -> None:
    log = Log().set_budget(match={"agent": "*"}, fallback_model="small", on_stale="closed")
    log.send(event(id="culprit", cost="1.25"))
    block = log.decisions()[-1]
    assert (block.subject, block.spent, block.limit) == (
        {"agent": "bot"},
        "1.250000000000",
        "1.000000000000",
    )
    assert (block.window, block.window_start, block.expires_at) == (
        "day",
        TODAY,
        "2026-03-11T00:00:00.000Z",
    )
    assert (block.cause.event_id, block.cause.offset, block.version) == ("culprit", 0, (1, 0, 0))
    assert (block.fallback_model, block.on_stale, block.mode) == ("small", "closed", "soft")
    assert "1.250000000000 of 1.000000000000 usd" in block.message


def test_a_budget_that_warns_never_blocks() -> None:
    log = Log().set_budget(action="warn").spend("5")
    assert log.said() == [("warn", 70), ("warn", 90), ("warn", 100)]


def test_an_observing_budget_says_so() -> None:
    log = Log().set_budget(mode="observe").spend("5")
    assert {d.mode for d in log.decisions()} == {"observe"}


@pytest.mark.parametrize(
    ("thresholds", "said"),
    [
        ([50], [("warn", 50), ("block", 100)]),
        ([100], [("block", 100)]),
        ([70, 120], [("warn", 70), ("block", 100), ("block", 120)]),
    ],
)
def test_a_budget_that_blocks_does_so_at_its_limit_whatever_its_thresholds(
    thresholds: list[int], said: list[tuple[str, int]]
) -> None:
    log = Log().set_budget(thresholds_percent=thresholds).spend("1.3")
    assert log.said() == said


def test_thresholds_of_a_warning_are_those_given() -> None:
    log = Log().set_budget(action="warn", thresholds_percent=[50]).spend("1.3")
    assert log.said() == [("warn", 50)]


@pytest.mark.parametrize(
    ("limit", "tokens", "said"),
    [
        ({"limit_tokens": 100}, (60, 39), [70, 90]),
        ({"limit_tokens": 100}, (60, 40), [70, 90, 100]),
        ({"limit_calls": 1}, (0, 0), [70, 90, 100]),
        ({"limit_calls": 2}, (0, 0), []),
    ],
)
def test_a_limit_may_be_tokens_or_calls(
    limit: dict[str, int], tokens: tuple[int, int], said: list[int]
) -> None:
    log = Log().set_budget(limit_usd=None, **limit)
    log.send(event(model="small", input_tokens=tokens[0], output_tokens=tokens[1]))
    assert [d.threshold_percent for d in log.decisions()] == said


def test_an_outcome_is_no_call() -> None:
    log = Log().set_budget(limit_usd=None, limit_calls=1).send(event(kind="outcome", success=True))
    assert log.said() == []


def test_spend_is_recorded_also_past_the_limit() -> None:
    log = Log().set_budget().spend("0.9").spend("0.9").spend("0.9")
    assert log.spent(start=TODAY) == "2.700000000000"


@pytest.mark.parametrize(
    ("match", "fields", "counts"),
    [
        ({}, {}, True),
        ({"agent": "bot"}, {}, True),
        ({"agent": "cat"}, {}, False),
        ({"agent": "*"}, {}, True),
        ({"session": "*"}, {}, False),
        ({"session": "*"}, {"session": "s"}, True),
        ({"agent": "bot", "model": "*"}, {"model": "small"}, True),
        ({"agent": "bot", "model": "*"}, {}, False),
        ({"agent": "bot", "model": "large"}, {"model": "small"}, False),
        ({"connection": "crm"}, {"connection": "crm"}, True),
        ({"customer": "*"}, {"customer": ""}, False),
        ({"user": "*", "tool": "mail"}, {"user": "u", "tool": "mail", "kind": "tool"}, True),
    ],
)
def test_a_budget_counts_what_its_match_says(
    match: dict[str, str], fields: dict[str, Any], counts: bool
) -> None:
    log = Log().set_budget(match=match).spend("2", **fields)
    assert bool(log.said()) == counts


def test_a_star_makes_one_account_for_each_value() -> None:
    log = Log().set_budget(match={"agent": "*"})
    log.spend("0.6", agent="a").spend("0.6", agent="b").spend("0.6", agent="b")
    assert (log.in_force(agent="a"), log.in_force(agent="b")) == ("allow", "block")
    assert log.spent(start=TODAY, agent="a") == "0.600000000000"


def test_a_workspace_pays_for_itself() -> None:
    log = Log().set_budget().spend("5", workspace="beta")
    assert log.said() == []


def test_a_child_counts_to_its_parents_run_and_never_twice() -> None:
    log = Log().set_budget(window="run", match={"session": "*"})
    log.spend("0.5", session="parent")
    log.spend("0.3", session="child", parent_session="parent")
    log.spend("0.2", session="grandchild", parent_session="child")
    assert log.spent(session="parent") == "1.000000000000"
    assert log.spent(session="child") == "0.500000000000"
    assert log.spent(session="grandchild") == "0.200000000000"
    assert log.in_force(session="parent") == "block"


def test_a_child_counts_once_to_what_is_no_sessions_budget() -> None:
    log = Log().set_budget(match={"agent": "*"})
    log.spend("0.5", session="child", parent_session="parent")
    assert log.spent(start=TODAY, agent="bot") == "0.500000000000"


def test_a_child_of_a_fixed_session_counts_to_it() -> None:
    log = Log().set_budget(window="run", match={"session": "parent"})
    log.spend("0.5", session="child", parent_session="parent").spend("0.5", session="other")
    assert log.spent(session="parent") == "0.500000000000"


@pytest.mark.parametrize(
    "parents", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "a"}]
)
def test_sessions_that_are_their_own_ancestors_count_once(parents: dict[str, str]) -> None:
    log = Log().set_budget(window="run", match={"session": "*"}, limit_usd="100")
    for session, parent in parents.items():
        log.spend("0", session=session, parent_session=parent)
    log.spend("1", session="a", parent_session=parents["a"])
    assert log.spent(session="a") == "1.000000000000"


def test_a_session_keeps_its_first_parent() -> None:
    log = Log().set_budget(window="run", match={"session": "*"})
    log.spend("0.1", session="child", parent_session="one")
    log.spend("0.1", session="child", parent_session="two")
    log.spend("0.1", session="child", agent="cat")
    assert log.spent(session="one") == "0.300000000000"
    assert not any("two" in subject for subject, _ in log.books.accounts())


def test_a_parent_is_remembered_while_any_run_of_the_session_knows_it() -> None:
    log = Log().set_budget(window="run", match={"session": "*"}, limit_usd="100")
    log.spend("1", session="child", parent_session="one", agent="a")
    log.spend("1", at=T0 + 5 * DAY, session="child", agent="b")
    # The run of agent a has left, that of b has not.
    log.spend("1", at=T0 + 8 * DAY, session="child", agent="b")
    assert log.spent(session="one") == "3.000000000000"


def test_a_limit_of_nothing_blocks_before_the_first_event() -> None:
    log = Log().spend("0", agent="cat").set_budget(match={"agent": "bot"}, limit_usd="0")
    assert log.in_force(agent="bot") == "block"
    assert log.decisions()[-1].reason == "budget_exhausted"
