"""A fault of ours, wherever it is, is counted and told once; the host's work goes on."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from tollway import meter
from tollway.producers import process, recorder
from tollway.producers.calls import Asked, Call, Usage, begin
from tollway.producers.guard import Guard
from tollway.producers.hashes import Hashes
from tollway.producers.local.books import Books
from tollway.producers.local.prices import LocalPrices
from tollway.producers.recorder import Recorder
from tollway.producers.streams import MeteredStream
from tollway.producers.testing import MemoryOutbox, metered

SECRET = "canary text of a prompt"


class Ours(Exception):
    """Of no kind that anybody expects."""


def broken(*args: object, **kwargs: object) -> None:
    raise Ours(SECRET)


# Everything that a host's call goes through.
PLACES: list[tuple[object, str]] = [
    (Recorder, "_gather"),
    (recorder, "event_of"),
    (Recorder, "_send"),
    (Recorder, "_book"),
    (MemoryOutbox, "put"),
    (Books, "book"),
    (Books, "check"),
    (LocalPrices, "price"),
    (Guard, "check"),
    (Hashes, "of"),
    (Hashes, "result_fields"),
    (Call, "_end"),
    (process, "soon"),
    (process, "booked"),
    (process, "hashes"),
]


@pytest.mark.parametrize(("owner", "name"), PLACES, ids=[name for _, name in PLACES])
def test_the_host_does_not_notice(
    owner: object, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with metered(workspace="acme", agent="bot"), meter.session("1.00") as session:
        monkeypatch.setattr(owner, name, broken)
        for use in USES:
            use(session)
        monkeypatch.undo()

    assert SECRET not in caplog.text
    assert caplog.text.count("Ours") <= 3


def test_nor_does_it_where_calls_are_counted_behind_its_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def asked() -> Asked:
        return Asked(framework="test", model="gpt-4o", prompt=SECRET)

    with metered(workspace="acme", agent="bot") as running:
        begin(asked).used(NoUsage())
        begin(asked).answered({"model": "gpt-4o", "usage": {"prompt_tokens": 1}})
        assert len(running.events()) == 1
        assert meter.stats().guard_counts == {"internal": 1}

    assert SECRET not in caplog.text
    assert "tollway failed with NotUs" in caplog.text


class NotUs(Exception):
    """Told nowhere else: each kind is told once in a process."""


class NoUsage(Usage, frozen=True):
    def fields(self) -> dict[str, object]:
        raise NotUs(SECRET)


def record(session: meter.Session) -> None:
    meter.record(model="gpt-4o", input_tokens=1)


def check(session: meter.Session) -> None:
    meter.check(model="gpt-4o")


def wrap(session: meter.Session) -> None:
    response = {"model": "gpt-4o", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    assert session.wrap(response).response is response


def track(session: meter.Session) -> None:
    assert session.track("result", cost="0.01", tool="t", arguments={"a": 1}) == "result"


def call_a_tool(session: meter.Session) -> None:
    @session.track_tool("0.01")
    def tool(argument: int) -> int:
        return argument + 1

    @meter.track_tool("0.01")
    async def awaited(argument: int) -> int:
        return argument + 2

    assert (tool(1), asyncio.run(awaited(1))) == (2, 3)


def a_failing_tool(session: meter.Session) -> None:
    @session.track_tool("0.01")
    def tool() -> None:
        raise LookupError("the host's own")

    with pytest.raises(LookupError, match="the host's own"):
        tool()


def stream(session: meter.Session) -> None:
    def asked() -> Asked:
        return Asked(framework="test", model="gpt-4o", prompt=SECRET)

    chunks: Iterator[dict[str, int]] = MeteredStream(iter([{"a": 1}, {"a": 2}]), begin(asked))
    assert list(chunks) == [{"a": 1}, {"a": 2}]
    with begin(asked).running() as call:
        call.answered({"usage": None})
    begin(asked).failed(ValueError(SECRET))


USES: list[Callable[[meter.Session], None]] = [
    record,
    check,
    wrap,
    track,
    call_a_tool,
    a_failing_tool,
    stream,
]
