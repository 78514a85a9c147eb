"""Decisions that one event or one command made, all of one version."""

from tollway.contract.control import Action, Cause, Decision, Version, control_key
from tollway.producers.decisions import DecisionIndex
from tollway.producers.testing import metered

NOW_MS = 1_800_000_000_000


def decision(action: Action, version: Version, percent: int | None) -> Decision:
    return Decision(
        id=f"{action}-{version}-{percent}",
        workspace="acme",
        subject={"agent": "bot"},
        rule="budget:daily",
        action=action,
        reason="budget",
        message="m",
        threshold_percent=percent,
        cause=Cause(partition=0, offset=7, event_id="e"),
        version=version,
        issued_at="2026-01-31T12:00:00.000Z",
    )


def test_an_event_that_jumps_over_all_thresholds_blocks() -> None:
    index = DecisionIndex()
    for action, percent in [("warn", 70), ("warn", 90), ("block", 100)]:
        index.apply(decision(action, (1, 7, 0), percent), NOW_MS)  # type: ignore[arg-type]  # literals of a tuple are widened
    (standing,) = index.matching({"agent": "bot"})
    assert [held.decision.action for held in standing.blocks] == ["block"]


def test_the_lower_thresholds_of_the_same_event_do_not_soften_it_when_they_come_again() -> None:
    index = DecisionIndex()
    index.apply(decision("block", (1, 7, 0), 100), NOW_MS)
    assert not index.apply(decision("warn", (1, 7, 0), 70), NOW_MS)


def test_an_edit_that_lifts_a_block_and_warns_leaves_the_warning() -> None:
    index = DecisionIndex()
    index.apply(decision("block", (1, 7, 0), 100), NOW_MS)
    index.apply(decision("allow", (1, 7, 1), None), NOW_MS)
    index.apply(decision("warn", (1, 7, 1), 70), NOW_MS)
    (standing,) = index.matching({"agent": "bot"})
    assert [held.decision.action for held in standing.warnings] == ["warn"]
    assert standing.blocks == ()


def test_a_workspace_whose_name_needs_encoding_hears_its_decisions() -> None:
    with metered(workspace="acme & söhne|eu", agent="bot") as meter:
        blocked = meter.block(agent="bot")
        assert control_key(blocked).startswith("acme%20%26%20s%C3%B6hne%7Ceu|")
        assert meter.guard.decisions_held() == 1
