"""The demo's play: a runaway works until it is stopped, however long that takes; Ctrl-C ends it."""

import os
import signal
from collections.abc import Iterator
from threading import Timer

import msgspec
import pytest

from tollway.cli.demo.playing import Clockwork, Played, play
from tollway.contract.control import Cause
from tollway.producers.testing import Meter, metered

RUNAWAYS = {"endless-coder", "stuck-analyst"}


def _play(meter: Meter, seconds: float, patience_seconds: float, *blocked: str) -> Played:
    """Blocks the agents only after the play is over."""

    def block() -> None:
        for agent in blocked:
            meter.block(agent=agent)

    timer = Timer(4 * seconds, block)
    timer.start()
    try:
        return play(seconds, 7, print, patience_seconds)
    finally:
        timer.cancel()


def test_a_runaway_whose_block_comes_late_goes_on_until_it_comes() -> None:
    with metered(workspace="demo") as meter:
        played = _play(meter, 0.1, 60.0, *RUNAWAYS)

    assert {stopped.session for stopped in played.stopped} == {f"{each}-1" for each in RUNAWAYS}
    assert played.never_stopped == []


def test_a_runaway_that_nobody_stops_is_named_once_patience_ends() -> None:
    with metered(workspace="demo") as meter:
        played = _play(meter, 0.1, 0.1)

        assert played.events == len(meter.events())
    assert set(played.never_stopped) == RUNAWAYS
    assert played.stopped == []


def test_a_block_that_newer_ones_replaced_is_timed_from_the_first_of_them() -> None:
    clockwork = Clockwork()
    with metered(workspace="demo") as meter:
        third, sixth = (
            msgspec.structs.replace(
                meter.block(agent="stuck-analyst"),
                cause=Cause(partition=0, offset=at, event_id=f"event-{at}"),
            )
            for at in (3, 6)
        )
    clockwork.record("event-3")
    clockwork.record("event-6")
    clockwork.arrive(third)
    clockwork.arrive(sixth)

    assert clockwork.first_block(sixth) is third
    clockwork.arrive(msgspec.structs.replace(sixth, id="lifted", action="allow"))
    assert clockwork.first_block(sixth) is sixth


@pytest.fixture
def terminal() -> Iterator[None]:
    """Ctrl-C as a terminal gives it: a shell's background jobs, as CI's may be, ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("terminal")
def test_ctrl_c_ends_the_play() -> None:
    def interrupt(line: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with metered(workspace="demo") as meter:
        # Whoever is told of it presses Ctrl-C.
        meter.block(agent="stuck-analyst")
        with pytest.raises(KeyboardInterrupt):
            play(600.0, 7, interrupt)
