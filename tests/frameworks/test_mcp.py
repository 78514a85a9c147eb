"""The MCP client against a real server of the same package, in the process and over stdio."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from mcp import ClientSession, McpError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.server.fastmcp import FastMCP
from mcp.shared.memory import create_connected_server_and_client_session

from canary import CANARY
from tollway import meter
from tollway.contract.usage import UsageEvent
from tollway.producers.adapters import mcp as adapter
from tollway.producers.adapters import uninstrument
from tollway.producers.testing import Meter

_NO_MODEL = "the MCP client calls tools, no model"
pytestmark = pytest.mark.framework(
    "mcp",
    lacks={
        "stream": _NO_MODEL,
        "abort": "a tool's result is no stream; a call that is cancelled is an event, aborted",
        "agent name": "the MCP client knows no agents; who calls it does, and is inherited",
        "retry": "the MCP client does not retry",
    },
)


class Crm:
    """A server with two tools, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.server = FastMCP("crm")
        self.server.add_tool(self.look_up, name="look_up")
        self.server.add_tool(self.refuse, name="refuse")
        self.server.add_tool(self.wait, name="wait")

    def look_up(self, customer: str) -> str:
        self.asked.append(customer)
        return f"{customer} {CANARY} has 3 orders"

    def refuse(self, customer: str) -> str:
        raise ValueError(f"no {customer}")

    async def wait(self) -> str:
        self.asked.append("wait")
        await asyncio.Event().wait()
        return "never"

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[ClientSession]:
        async with create_connected_server_and_client_session(self.server) as session:
            yield session


@pytest.fixture
def crm() -> Crm:
    return Crm()


def in_session(crm: Crm, use: Callable[[ClientSession], Awaitable[Any]]) -> Any:  # noqa: ANN401 (what `use` gives)
    async def connect() -> object:
        async with crm.connected() as session:
            return await use(session)

    return asyncio.run(connect())


def refused(
    kind: type[Exception], call: Callable[[ClientSession], Awaitable[Any]]
) -> Callable[[ClientSession], Awaitable[None]]:
    """That it raises, inside of the session: its task group would make a group of exceptions."""

    async def use(session: ClientSession) -> None:
        with pytest.raises(kind):
            await call(session)

    return use


def told(running: Meter) -> list[UsageEvent]:
    return [event for event in running.events() if event.kind == "tool"]


@pytest.mark.shows("meter", "tool", "async")
def test_a_call_of_a_tool_is_one_event_with_its_servers_name(crm: Crm, running: Meter) -> None:
    result = in_session(
        crm, lambda session: session.call_tool("look_up", {"customer": f"ada {CANARY}"})
    )

    assert result.content[0].text == f"ada {CANARY} {CANARY} has 3 orders"
    [event] = running.events()
    assert (event.kind, event.tool, event.connection) == ("tool", "look_up", "crm")
    assert (event.status, event.usage_missing) == ("ok", False)
    assert event.tags == {"framework": "mcp"}
    # 37 characters, at about 4 a token.
    assert event.result_tokens == 9
    assert event.args_hash
    assert event.result_hash
    assert event.duration_ms is not None


def test_the_same_arguments_have_the_same_hash_in_whatever_order(crm: Crm, running: Meter) -> None:
    async def twice(session: ClientSession) -> None:
        await session.call_tool(name="look_up", arguments={"customer": "ada"})
        await session.call_tool("look_up", {"customer": "ada"})
        await session.call_tool("look_up", {"customer": "bob"})

    in_session(crm, twice)

    first, second, other = told(running)
    assert first.args_hash == second.args_hash != other.args_hash
    assert first.result_hash == second.result_hash != other.result_hash


@pytest.mark.shows("error")
def test_a_tool_that_failed_is_an_event_that_says_so(crm: Crm, running: Meter) -> None:
    result = in_session(crm, lambda session: session.call_tool("refuse", {"customer": "ada"}))

    assert result.isError
    [event] = told(running)
    assert (event.tool, event.status) == ("refuse", "error")
    assert event.result_hash


@pytest.mark.shows("block")
def test_a_blocked_tool_is_not_asked_for(crm: Crm, running: Meter) -> None:
    running.block(tool="look_up")

    ask = refused(
        meter.CallBlocked, lambda session: session.call_tool("look_up", {"customer": "ada"})
    )
    in_session(crm, ask)

    assert crm.asked == []
    assert running.events() == []


def test_a_blocked_connection_closes_all_tools_of_the_server(crm: Crm, running: Meter) -> None:
    running.block(connection="crm")

    ask = refused(
        meter.CallBlocked, lambda session: session.call_tool("refuse", {"customer": "ada"})
    )
    in_session(crm, ask)

    assert running.events() == []


def test_a_call_that_is_cancelled_is_an_aborted_one(crm: Crm, running: Meter) -> None:
    async def cancel(session: ClientSession) -> None:
        calling = asyncio.create_task(session.call_tool("wait"))
        while not crm.asked:
            await asyncio.sleep(0)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling

    in_session(crm, cancel)

    [event] = told(running)
    assert (event.tool, event.status) == ("wait", "aborted")


def test_an_error_of_the_protocol_is_an_event_and_the_hosts_exception(
    crm: Crm, running: Meter
) -> None:
    soon = timedelta(seconds=0.05)
    ask = refused(McpError, lambda session: session.call_tool("wait", read_timeout_seconds=soon))

    in_session(crm, ask)

    [event] = told(running)
    assert (event.tool, event.status) == ("wait", "error")


@pytest.mark.shows("concurrent")
def test_sessions_that_run_at_a_time_do_not_mix(crm: Crm, running: Meter) -> None:
    async def run(session: ClientSession, name: str, calls: int) -> None:
        async with meter.session(agent=name, session=name):
            for number in range(calls):
                # Another one each time: the same with the same result would be a loop.
                await session.call_tool("look_up", {"customer": f"{name} {'x' * number}"})

    async def all_at_once(session: ClientSession) -> None:
        await asyncio.gather(*(run(session, f"agent-{n}", n) for n in range(1, 6)))

    in_session(crm, all_at_once)

    calls = [(event.agent, event.session) for event in told(running)]
    assert {pair: calls.count(pair) for pair in calls} == {
        (f"agent-{n}", f"agent-{n}"): n for n in range(1, 6)
    }


def test_a_session_that_is_wrapped_needs_no_instrument_and_may_rename_its_server(
    crm: Crm, running: Meter
) -> None:
    uninstrument()

    async def use(session: ClientSession) -> None:
        wrapped = adapter.wrap(session, connection="customers")
        assert wrapped is session
        await wrapped.call_tool("look_up", {"customer": "ada"})

    in_session(crm, use)

    [event] = told(running)
    assert (event.tool, event.connection) == ("look_up", "customers")


def test_a_wrapped_session_is_metered_once_with_the_adapter_attached(
    crm: Crm, running: Meter
) -> None:
    async def use(session: ClientSession) -> None:
        await adapter.wrap(adapter.wrap(session), "customers").call_tool(
            "look_up", {"customer": "ada"}
        )

    in_session(crm, use)

    [event] = told(running)
    assert (event.tool, event.connection) == ("look_up", "customers")


def test_a_session_without_the_adapter_is_not_metered(crm: Crm, running: Meter) -> None:
    uninstrument()

    in_session(crm, lambda session: session.call_tool("look_up", {"customer": "ada"}))

    assert crm.asked == ["ada"]
    assert running.events() == []


@pytest.mark.our_fault
@pytest.mark.parametrize("function", ["_asked", "_said"])
def test_a_fault_of_ours_is_not_the_hosts(
    function: str, crm: Crm, running: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, function, lambda *args: 1 / 0)

    result = in_session(crm, lambda session: session.call_tool("look_up", {"customer": "ada"}))

    assert not result.isError


SERVER = """
from mcp.server.fastmcp import FastMCP
server = FastMCP("clock")
@server.tool()
def add(a: int, b: int) -> int:
    return a + b
server.run()
"""


def test_a_server_over_stdio_is_metered_alike(running: Meter) -> None:
    async def use() -> None:
        parameters = StdioServerParameters(command=sys.executable, args=["-c", SERVER])
        async with (
            stdio_client(parameters) as (read, write),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            result = await session.call_tool("add", {"a": 2, "b": 3})
            assert not result.isError

    asyncio.run(use())

    [event] = told(running)
    assert (event.tool, event.connection, event.status) == ("add", "clock", "ok")
