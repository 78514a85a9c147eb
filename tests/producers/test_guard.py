"""What the guard does when it cannot be sure, and whom it tells of what it hears."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tollway import meter
from tollway.contract.control import Decision
from tollway.producers.guard import Guard
from tollway.producers.listeners import Listeners
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


def test_open_allows_while_stale_and_counts_it(metering: Meter) -> None:
    assert meter.stats().guard == "fresh"

    metering.pass_time(5.1)
    meter.check()
    assert meter.stats().guard == "stale"
    metering.pass_time(60)
    meter.check()
    assert meter.stats().guard == "blind"

    assert meter.stats().guard_counts == {"allowed_while_stale": 1, "allowed_while_blind": 1}


def test_a_known_block_holds_while_stale(metering: Meter) -> None:
    metering.block(agent="bot", expires_at=FUTURE)

    metering.pass_time(1000)

    assert is_blocked()


def test_closed_blocks_while_stale_and_opens_with_the_next_heartbeat() -> None:
    with metered(workspace="acme", agent="bot", on_stale="closed") as metering:
        meter.check()

        metering.pass_time(5.1)
        with pytest.raises(meter.CallBlocked, match="stale") as raised:
            meter.check()
        assert (raised.value.reason, raised.value.decision) == ("guard_stale", None)

        metering.beat()
        meter.check()


def test_a_budget_that_says_closed_wins_for_its_subject(metering: Meter) -> None:
    decision = metering.lift(agent="writer")
    closed = msgspec.structs.replace(
        decision, subject={"agent": "bot"}, on_stale="closed", version=(0, 9, 0)
    )
    metering.decide(closed)
    meter.check()

    metering.pass_time(10)

    assert is_blocked()
    assert not is_blocked(agent="writer")


def test_a_guard_that_never_read_anything_is_warming_then_blind() -> None:
    now_s = 100.0
    guard = Guard("acme", Listeners(), monotonic_s=lambda: now_s)
    assert guard.state() == "warming"
    assert not guard.ready(0)

    now_s = 161.0
    assert guard.state() == "blind"


def test_an_old_heartbeat_does_not_make_it_fresh(metering: Meter) -> None:
    guard = Guard("acme", Listeners(), monotonic_s=lambda: 100.0)
    beat = (
        b'{"type":"heartbeat","partition":0,"generation":0,'
        b'"usage_offset":0,"commands_offset":0,"issued_at":""}'
    )

    guard.take(b"heartbeat|0", beat, 30.0)
    guard.caught_up()
    assert guard.state() == "stale"

    guard.take(b"heartbeat|0", beat, 1.0)
    assert guard.state() == "fresh"


def test_a_heartbeat_of_a_new_log_asks_to_read_it_again(metering: Meter) -> None:
    beat = (
        b'{"type":"heartbeat","partition":0,"generation":%d,'
        b'"usage_offset":0,"commands_offset":0,"issued_at":""}'
    )

    assert not metering.guard.take(b"heartbeat|0", beat % 0, 0.0)
    assert metering.guard.take(b"heartbeat|0", beat % 1, 0.0)
    assert not metering.guard.take(b"heartbeat|0", beat % 1, 0.0)


def test_callbacks_hear_new_decisions_that_concern_them(metering: Meter) -> None:
    everything: list[str] = []
    one_run: list[str] = []
    end = meter.on_decision(lambda decision: everything.append(decision.id))
    meter.on_decision(lambda decision: one_run.append(decision.id), session="s-1", agent="bot")

    first = metering.block(session="s-1")
    second = metering.block(session="s-2")
    metering.decide(second)
    end()
    third = metering.block(agent="bot")

    assert everything == [first.id, second.id]
    assert one_run == [first.id, third.id]


def test_a_callback_that_fails_stops_nobody_else(
    metering: Meter, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Decision] = []

    def fail(decision: Decision) -> None:
        raise ZeroDivisionError("hunter2")

    meter.on_decision(fail)
    meter.on_decision(heard.append)
    metering.block(agent="bot")

    assert len(heard) == 1
    assert meter.stats().guard_counts == {"callback": 1}
    assert "ZeroDivisionError" in caplog.text
    assert "hunter2" not in caplog.text
