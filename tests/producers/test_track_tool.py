"""A decorated tool is what it was, is asked for before it runs, and costs what it was said to."""

import asyncio
import inspect
from collections.abc import Iterator, Mapping

import pytest

from tollway import meter
from tollway.producers.testing import Meter, metered


@pytest.fixture(autouse=True)
def metering() -> Iterator[Meter]:
    with metered(workspace="acme", agent="bot") as running:
        yield running


def test_it_keeps_the_functions_name_signature_and_result() -> None:
    @meter.track_tool("0.01")
    def lookup(word: str, *, deep: bool = False) -> str:
        """Looks a word up."""
        return word.upper()

    assert lookup("a") == "A"
    assert (lookup.__name__, lookup.__doc__) == ("lookup", "Looks a word up.")
    assert list(inspect.signature(lookup).parameters) == ["word", "deep"]


def test_an_event_says_which_tool_how_long_and_what_for_only_as_hashes(metering: Meter) -> None:
    @meter.track_tool(cost="0.01", connection="serpapi")
    def lookup(word: str) -> str:
        return f"about {word}"

    lookup("canary")

    (event,) = metering.events()
    assert (event.kind, event.tool, event.connection, event.cost) == (
        "tool",
        "lookup",
        "serpapi",
        "0.010000000000",
    )
    assert event.args_hash
    assert event.result_hash
    assert b"canary" not in metering.outbox.records[0][1]


def test_arguments_hash_alike_by_position_and_by_name(metering: Meter) -> None:
    @meter.track_tool()
    def lookup(word: str, page: int = 1) -> None: ...

    lookup("a", 2)
    lookup(page=2, word="a")

    first, second = metering.events()
    assert first.args_hash == second.args_hash


def test_a_coroutine_function_is_tracked_while_it_is_awaited(metering: Meter) -> None:
    @meter.track_tool(lambda arguments, result: "0.5")
    async def fetch(url: str) -> str:
        assert metering.events() == []
        await asyncio.sleep(0)
        return url

    assert asyncio.run(fetch("x")) == "x"
    assert metering.events()[0].cost == "0.500000000000"


def test_a_blocked_tool_is_not_run(metering: Meter) -> None:
    ran: list[str] = []

    @meter.track_tool()
    def wipe() -> None:
        ran.append("wipe")

    metering.block(tool="wipe")
    with pytest.raises(meter.CallBlocked):
        wipe()
    assert (ran, metering.events()) == ([], [])


def test_a_tools_error_is_its_callers_and_counted(metering: Meter) -> None:
    @meter.track_tool("0.01")
    def broken() -> None:
        raise LookupError("secret")

    with pytest.raises(LookupError, match="secret"):
        broken()
    (event,) = metering.events()
    assert (event.status, event.cost) == ("error", None)


def test_a_cost_function_that_fails_is_our_fault_and_not_the_hosts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def cost(arguments: Mapping[str, object], result: object) -> str:
        raise KeyError("secret")

    @meter.track_tool(cost)
    def lookup() -> int:
        return 7

    assert lookup() == 7
    assert "secret" not in caplog.text


def test_a_cost_that_is_no_amount_is_an_error_where_it_is_written() -> None:
    with pytest.raises(ValueError, match="cost"):
        meter.track_tool("ten cents")
