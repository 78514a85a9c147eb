"""What is lost is counted exactly, told to the worker, and hurts nobody."""

from collections.abc import Iterator, Mapping

import pytest

from tollway import meter
from tollway.producers.recorder import UNATTRIBUTED, Recorder
from tollway.producers.testing import MemoryOutbox, Meter, metered

PROMPT = "my password is hunter2"


@pytest.fixture
def metering() -> Iterator[Meter]:
    with metered(workspace="acme", agent="bot") as running:
        yield running


def test_an_event_over_256_kib_is_too_large(metering: Meter) -> None:
    # Names have at most 512 characters, so only `lost` can be this large.
    meter.record(kind="loss", lost={f"reason-{n}": n for n in range(20_000)})

    assert metering.events() == []
    assert meter.stats().dropped == {"too_large": 1}


def test_a_full_outbox_is_counted_and_told_when_it_drains(metering: Meter) -> None:
    metering.outbox.room = 2
    for _ in range(5):
        meter.record(model="gpt-4o")
    with meter.attribute(agent="writer"):
        meter.record(model="gpt-4o")
    assert meter.stats().dropped == {"queue_full": 4}

    metering.outbox.room = 10
    meter.flush()
    meter.flush()

    losses = [event for event in metering.events() if event.kind == "loss"]
    assert [(loss.agent, loss.lost) for loss in losses] == [
        ("bot", {"queue_full": 3}),
        ("writer", {"queue_full": 1}),
    ]
    # The lost events took numbers 2 to 5; a loss event takes none.
    assert [event.seq for event in metering.events()] == [0, 1, None, None]


def test_a_loss_event_that_is_lost_is_told_again() -> None:
    outbox = MemoryOutbox(room=0)
    recorder = Recorder({"workspace": "acme"}, outbox)
    recorder.record(None, {"model": "gpt-4o", "input_tokens": -1})
    outbox.room = 10
    recorder.report_losses()
    (_, first) = outbox.records.pop()

    recorder.lost_in_transit(first, "timeout")
    recorder.report_losses()

    (_, second) = outbox.records.pop()
    assert b'"lost":{"invalid":1}' in second
    assert UNATTRIBUTED.encode() in second
    assert recorder.lost() == {"invalid": 1}


def test_what_was_lost_of_no_workspace_is_told_to_none() -> None:
    outbox = MemoryOutbox()
    recorder = Recorder({}, outbox)
    recorder.record(None, {"model": "gpt-4o"})
    recorder.record(None, {"model": "gpt-4o", "workspace": ["acme"]})
    recorder.report_losses()

    assert outbox.records == []
    assert recorder.lost() == {"invalid": 2}


class BrokenOutbox(MemoryOutbox):
    def put(self, key: bytes, value: bytes) -> None:
        raise ZeroDivisionError


def test_a_fault_inside_is_counted_and_never_raised(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder({"workspace": "acme", "agent": "bot"}, BrokenOutbox())

    for _ in range(3):
        recorder.record(None, {"model": "gpt-4o"})

    assert recorder.lost() == {"internal": 3}
    assert caplog.text.count("ZeroDivisionError") == 1


class Hostile(Mapping[str, object]):
    def __getitem__(self, name: str) -> object:
        raise RuntimeError(PROMPT)

    def __iter__(self) -> Iterator[str]:
        return iter(["model"])

    def __len__(self) -> int:
        return 1


def test_a_mapping_that_breaks_is_counted(
    metering: Meter, caplog: pytest.LogCaptureFixture
) -> None:
    meter.record(Hostile())

    assert meter.stats().dropped == {"internal": 1}
    assert PROMPT not in caplog.text
