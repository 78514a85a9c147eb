"""What `check` forbids, warns of and allows, and what it does when nobody can say."""

import pickle
import warnings
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tollway import meter
from tollway.contract.control import Decision
from tollway.producers.testing import Meter, metered

FUTURE = "2126-01-31T12:00:00.000Z"
LATER = "2127-01-31T12:00:00.000Z"
PAST = "2016-01-31T12:00:00.000Z"


@pytest.fixture
def metering() -> Iterator[Meter]:
    with metered(workspace="acme", agent="bot") as running:
        yield running


def is_blocked(**dimensions: str) -> bool:
    named: dict[str, Any] = dict(dimensions)  # Any: check() wants the names spelt out
    try:
        meter.check(**named)
    except meter.CallBlocked:
        return True
    return False


def test_a_block_stops_the_agent_and_says_why(metering: Meter) -> None:
    decision = metering.block(agent="bot", expires_at=FUTURE)

    with pytest.raises(meter.CallBlocked) as raised:
        meter.check()

    blocked = raised.value
    assert blocked.decision == decision
    assert (blocked.spent, blocked.limit) == ("1.000000000000", "1.000000000000")
    assert (blocked.expires_at, blocked.reason) == (FUTURE, "budget_exceeded")
    assert str(blocked) == (
        "blocked until 2126-01-31T12:00:00.000Z: the budget of this test is spent"
        " (agent=bot, budget:test; spent 1.000000000000 of 1.000000000000 usd)"
    )


def test_a_block_is_about_its_subject_only(metering: Meter) -> None:
    metering.block(agent="bot", model="gpt-4o")
    metering.block(session="s-1")

    assert is_blocked(model="gpt-4o")
    assert is_blocked(session="s-1")
    assert not is_blocked()
    assert not is_blocked(model="gpt-4o-mini")
    assert not is_blocked(model="gpt-4o", agent="writer")


def test_dimensions_come_from_the_attribution_around(metering: Meter) -> None:
    metering.block(session="s-1")

    with meter.attribute(session="s-1"):
        assert is_blocked()
        assert not is_blocked(session="s-2")


def test_none_says_nothing_and_opens_no_door(metering: Meter) -> None:
    metering.block(session="s-1")

    with meter.attribute(session="s-1"), pytest.raises(meter.CallBlocked):
        meter.check(session=None)


def test_a_block_of_everything_blocks_everything(metering: Meter) -> None:
    metering.block()

    assert is_blocked(agent="anyone")
    assert is_blocked()


def test_allow_lifts(metering: Meter) -> None:
    metering.block(agent="bot")
    assert is_blocked()

    metering.lift(agent="bot")
    assert not is_blocked()


def test_a_block_lapses_by_itself(metering: Meter) -> None:
    metering.block(agent="bot", expires_at=PAST)

    assert not is_blocked()


def test_an_older_version_changes_nothing(metering: Meter) -> None:
    block = metering.block(agent="bot")
    metering.lift(agent="bot")

    metering.decide(block)

    assert not is_blocked()


def test_observe_is_shown_and_never_enforced(metering: Meter) -> None:
    heard: list[Decision] = []
    meter.on_decision(heard.append)
    decision = metering.block(agent="writer")
    observed = msgspec.structs.replace(
        decision, subject={"agent": "bot"}, mode="observe", on_stale="closed", version=(0, 9, 0)
    )

    metering.decide(observed)
    metering.pass_time(10)

    assert not is_blocked()
    assert heard == [decision]


def test_of_several_blocks_the_one_that_lasts_longest_is_told(metering: Meter) -> None:
    metering.block(agent="bot", expires_at=FUTURE)
    longest = metering.block(model="gpt-4o", expires_at=LATER)
    metering.block(session="s-1", expires_at=FUTURE)

    with pytest.raises(meter.CallBlocked) as raised:
        meter.check(model="gpt-4o", session="s-1")

    assert raised.value.decision == longest


def test_a_warning_is_said_once_for_each_version(metering: Meter) -> None:
    metering.warn(agent="bot")
    with warnings.catch_warnings(record=True, action="always", category=meter.SpendWarning) as said:
        for _ in range(100):
            meter.check()
    assert len(said) == 1
    assert said[0].filename == __file__

    metering.warn(agent="bot")
    with pytest.warns(meter.SpendWarning):
        meter.check()


def test_a_warning_suggests_the_cheaper_model(metering: Meter) -> None:
    decision = metering.warn(agent="writer")
    cheaper = msgspec.structs.replace(
        decision, subject={"agent": "bot"}, fallback_model="gpt-4o-mini", version=(0, 9, 0)
    )
    metering.decide(cheaper)

    with pytest.warns(meter.SpendWarning, match="try gpt-4o-mini") as said:
        meter.check()

    warning = said[0].message
    assert isinstance(warning, meter.SpendWarning)
    assert warning.decision.fallback_model == "gpt-4o-mini"


def test_a_misspelt_dimension_is_an_error_not_an_open_door(metering: Meter) -> None:
    with pytest.raises(TypeError, match="customer"):
        is_blocked(custmer="corp")


def test_another_workspace_is_not_judged_by_these_decisions(metering: Meter) -> None:
    metering.block()

    with meter.attribute(workspace="other"):
        assert not is_blocked()
    assert meter.stats().guard_counts == {"other_workspace": 1}


def test_a_fault_inside_allows_and_is_counted(metering: Meter) -> None:
    metering.block(agent="writer")
    unhashable: Any = ["bot"]  # Any: what a type checker would refuse

    meter.check(agent=unhashable)

    assert meter.stats().guard_counts == {"internal": 1}


def test_a_blocked_call_survives_pickling(metering: Meter) -> None:
    metering.block(agent="bot")
    with pytest.raises(meter.CallBlocked) as raised:
        meter.check()

    copy = pickle.loads(pickle.dumps(raised.value))

    assert str(copy) == str(raised.value)
    assert copy.decision == raised.value.decision


def test_a_tombstone_forgets(metering: Meter) -> None:
    metering.block(agent="bot")

    metering.guard.take(b"acme|agent=bot|budget:test", None, 0.0)

    assert not is_blocked()
    assert meter.stats().decisions == 0


@pytest.mark.parametrize(
    ("value", "counts"),
    [
        (b"not json", {"unreadable": 1}),
        (b'{"type":"from the future","workspace":"acme"}', {"unreadable": 1}),
        (b"", {"unreadable": 1}),
    ],
)
def test_what_cannot_be_read_is_counted(
    metering: Meter, value: bytes, counts: dict[str, int]
) -> None:
    metering.guard.take(b"acme|agent=bot|x", value, 0.0)

    assert meter.stats().guard_counts == counts


def test_a_host_that_turns_warnings_into_errors_gets_the_warning(metering: Meter) -> None:
    metering.warn(agent="bot")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(meter.SpendWarning):
            meter.check()
