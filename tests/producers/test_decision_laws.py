"""Laws of the index of decisions: the newest version wins, in whatever order they arrive."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.contract.control import Action, Cause, Decision, Version, control_key
from tollway.producers import decisions as decisions_module
from tollway.producers.decisions import DecisionIndex, concerns

CALL: dict[str, object] = {"agent": "a", "session": "s", "model": "m"}
ACTIONS: list[Action] = ["allow", "warn", "block"]
NOW_MS = 1_800_000_000_000

SUBJECTS: list[dict[str, str]] = [
    {},
    {"agent": "a"},
    {"agent": "b"},
    {"session": "s"},
    {"agent": "a", "model": "m"},
    {"agent": "a", "model": "other"},
    {"agent": "a", "model": "m", "session": "s"},
]


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions_module, "MAX_DECISIONS", 100)
    monkeypatch.setattr(decisions_module, "_FIRST_SWEEP", 40)


def decision(
    subject: dict[str, str], rule: str, action: Action, version: Version, expires_at: str | None
) -> Decision:
    return Decision(
        id=f"{rule}-{version}",
        workspace="acme",
        subject=subject,
        rule=rule,
        action=action,
        reason="r",
        message="m",
        expires_at=expires_at,
        cause=Cause(partition=0, offset=0, event_id="e"),
        version=version,
        issued_at="2026-01-31T12:00:00.000Z",
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Decision]:
    """Decisions as one worker makes them: a version is made once for a subject and rule."""
    drawn = draw(
        st.lists(
            st.tuples(
                st.sampled_from(SUBJECTS),
                st.sampled_from(["budget:x", "manual"]),
                st.sampled_from(ACTIONS),
                st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 1)),
                st.sampled_from([None, "2126-01-31T12:00:00.000Z", "2016-01-31T12:00:00.000Z"]),
            ),
            max_size=30,
            unique_by=lambda made: (str(made[0]), made[1], made[3]),
        )
    )
    return [decision(*made) for made in drawn]


def answers(index: DecisionIndex) -> list[str]:
    """What a call falls under, as identities."""
    return sorted(
        held.decision.id + held.decision.action
        for standing in index.matching(CALL)
        for held in (*standing.blocks, *standing.warnings)
    )


@given(histories(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(
    history: list[Decision], order: random.Random
) -> None:
    straight, shuffled = DecisionIndex(), DecisionIndex()
    for made in history:
        straight.apply(made, NOW_MS)
    again = history * 2
    order.shuffle(again)
    for made in again:
        shuffled.apply(made, NOW_MS)

    assert answers(straight) == answers(shuffled)
    assert len(straight) == len(shuffled)


@given(histories())
def test_an_older_version_never_changes_the_index(history: list[Decision]) -> None:
    index = DecisionIndex()
    for made in history:
        index.apply(made, NOW_MS)
    before = answers(index)

    for made in history:
        held = index.version(control_key(made))
        assert held is not None
        assert held >= made.version
        assert not index.apply(made, NOW_MS)
    assert answers(index) == before


@given(histories())
def test_what_matches_is_exactly_the_newest_of_each_that_concerns_the_call(
    history: list[Decision],
) -> None:
    index = DecisionIndex()
    newest: dict[str, Decision] = {}
    for made in history:
        index.apply(made, NOW_MS)
        key = control_key(made)
        if key not in newest or newest[key].version < made.version:
            newest[key] = made

    expected = sorted(
        made.id + made.action
        for made in newest.values()
        if made.action != "allow" and concerns(made.subject, CALL)
    )
    assert answers(index) == expected


@given(histories())
def test_forgetting_everything_leaves_nothing(history: list[Decision]) -> None:
    index = DecisionIndex()
    for made in history:
        index.apply(made, NOW_MS)
    for made in history:
        index.forget(control_key(made))

    assert answers(index) == []
    assert len(index) == 0


def test_what_lapsed_makes_room_and_blocks_stay(small_limits: None) -> None:
    index = DecisionIndex()
    for number in range(50):
        subject = {"session": f"s-{number}"}
        index.apply(
            decision(subject, "b", "block", (0, number, 0), "2016-01-31T12:00:00.000Z"), NOW_MS
        )
    index.apply(decision({"agent": "a"}, "manual", "block", (0, 99, 0), None), NOW_MS)
    for number in range(50, 120):
        subject = {"session": f"s-{number}"}
        now_ms = NOW_MS + number * 20_000
        index.apply(
            decision(subject, "b", "warn", (0, number, 0), "2126-01-31T12:00:00.000Z"), now_ms
        )

    assert len(index) <= 100
    assert answers(index) == ["manual-(0, 99, 0)block"]


def test_beyond_the_limit_of_standing_blocks_a_new_one_is_refused_and_counted(
    small_limits: None,
) -> None:
    index = DecisionIndex()
    for number in range(105):
        subject = {"session": f"s-{number}"}
        index.apply(decision(subject, "b", "block", (0, number, 0), None), NOW_MS + number)

    assert len(index) == 100
    assert index.refused == 5
    assert decisions_module.MAX_DECISIONS == 100
