"""The OpenAI Agents SDK attached, against recorded responses: tools, its own and those of MCP."""

import asyncio
import sys
from typing import Any

import pytest
from agents import (
    Runner,
    function_tool,
    set_trace_processors,
)
from agents.mcp import MCPServerStdio

from agents_sdk import (
    MODEL,
    RESPONSE,
    RESPONSE_TOOL,
    Tools,
    chat_agent,
    llm,
    responses_agent,
    used_tools,
    with_tool,
)
from answering import Answer, ReplayServer, Seen
from canary import PROMPT
from metered_once import assert_usage
from recordings import recording
from tollway import meter
from tollway.producers.adapters import (
    instrument,
    openai_agents,
    openai_agents_hooks,
    openai_agents_runs,
    openai_agents_usage,
)
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("openai_agents")


@pytest.fixture(autouse=True)
def untraced() -> None:
    """Traces go on, and nowhere: the SDK's own exporter sends them to its vendor."""
    set_trace_processors([])


@pytest.fixture
def tools() -> Tools:
    return Tools()


@pytest.mark.shows("tool")
@pytest.mark.parametrize("api", ["responses", "chat"])
def test_a_tool_is_an_event_between_two_of_the_model(
    api: str, server: ReplayServer, running: Meter, tools: Tools
) -> None:
    asks, answers = with_tool(server, api)
    make = responses_agent if api == "responses" else chat_agent

    asyncio.run(Runner.run(make(server, tools=[tools.weather()]), PROMPT))

    assert tools.ran == ["Paris"]
    first, tool, second = running.events()
    assert_usage(first, asks, provider="openai", model=MODEL)
    assert first.tool_calls == 1
    assert (tool.kind, tool.tool, tool.agent, tool.status) == (
        "tool",
        "get_weather",
        "researcher",
        "ok",
    )
    assert tool.args_hash
    assert tool.result_hash
    # 25 characters, at about 4 a token.
    assert tool.result_tokens == 6
    assert_usage(second, answers, provider="openai", model=MODEL)
    assert {event.session for event in running.events()} == {first.session}
    assert first.session


def test_tools_that_run_at_a_time_are_events_of_their_own(
    server: ReplayServer, running: Meter, tools: Tools
) -> None:
    # Nobody recorded two calls at a time: the second is the first with another id and place.
    def two(body: dict[str, Any]) -> None:
        second = {**body["output"][0], "id": "fc_2", "call_id": "call_2"}
        body["output"].append({**second, "arguments": '{"location":"Rome"}'})

    asks = recording(RESPONSE_TOOL).edited(two)
    server.on(asks.path, asks.answer(), recording(RESPONSE).answer())

    asyncio.run(Runner.run(responses_agent(server, tools=[tools.weather()]), PROMPT))

    assert sorted(tools.ran) == ["Paris", "Rome"]
    first, paris, rome, _ = running.events()
    assert first.tool_calls == 2
    assert paris.args_hash != rome.args_hash
    assert (paris.status, rome.status) == ("ok", "ok")


def test_a_blocked_tool_is_not_run(server: ReplayServer, running: Meter, tools: Tools) -> None:
    with_tool(server)
    running.block(tool="get_weather")

    with pytest.raises(meter.CallBlocked):
        asyncio.run(Runner.run(responses_agent(server, tools=[tools.weather()]), PROMPT))

    assert tools.ran == []
    assert len(server.requests) == 1
    assert used_tools(running) == []


@pytest.mark.parametrize("failure_text", [True, False])
def test_a_block_inside_a_tool_is_no_text_for_the_model(
    failure_text: bool, server: ReplayServer, running: Meter
) -> None:
    with_tool(server)
    running.block(model="gpt-5")

    async def get_weather(location: str) -> str:
        """The weather."""
        meter.check(model="gpt-5")
        return "rain"

    options: dict[str, Any] = {} if failure_text else {"failure_error_function": None}
    agent = responses_agent(server, tools=[function_tool(get_weather, **options)])

    with pytest.raises(meter.CallBlocked):
        asyncio.run(Runner.run(agent, PROMPT))

    assert len(server.requests) == 1


@pytest.mark.shows("error")
def test_a_tool_that_failed_is_an_event_that_says_so(
    server: ReplayServer, running: Meter, tools: Tools
) -> None:
    with_tool(server)
    tools.failure = ValueError("no weather")

    asyncio.run(Runner.run(responses_agent(server, tools=[tools.weather()]), PROMPT))

    [tool] = used_tools(running)
    assert (tool.tool, tool.status) == ("get_weather", "error")
    assert len(llm(running)) == 2


@pytest.mark.our_fault
@pytest.mark.parametrize("where", ["_found", "_arguments", "named", "response_usage"])
def test_a_fault_of_ours_is_not_the_hosts(
    where: str,
    server: ReplayServer,
    running: Meter,
    tools: Tools,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (openai_agents_hooks, openai_agents_usage, openai_agents_runs, openai_agents):
        if hasattr(module, where):
            monkeypatch.setattr(module, where, lambda *args: 1 / 0)
    with_tool(server)

    result = asyncio.run(Runner.run(responses_agent(server, tools=[tools.weather()]), PROMPT))

    assert result.final_output == "2 + 2 = 4."
    assert tools.ran == ["Paris"]


SERVER = """
from mcp.server.fastmcp import FastMCP
server = FastMCP("weather")
@server.tool()
def get_weather(location: str) -> str:
    return "rain in " + location
server.run()
"""


def test_a_tool_of_an_mcp_server_is_one_event_with_both_adapters(
    server: ReplayServer, running: Meter
) -> None:
    instrument("mcp")
    with_tool(server)

    async def run() -> None:
        params = {"command": sys.executable, "args": ["-c", SERVER]}
        async with MCPServerStdio(params=params, client_session_timeout_seconds=20) as weather:
            await Runner.run(responses_agent(server, mcp_servers=[weather]), PROMPT)

    asyncio.run(run())

    [tool] = used_tools(running)
    assert (tool.tool, tool.connection, tool.agent) == ("get_weather", "weather", "researcher")


def test_a_tool_of_an_mcp_server_that_the_sdk_renames_is_one_event(
    server: ReplayServer, running: Meter
) -> None:
    instrument("mcp")

    def ask(seen: Seen) -> Answer:
        name = seen.json()["tools"][0]["name"]
        assert name != "get_weather"
        return (
            recording(RESPONSE_TOOL)
            .edited(lambda body: body["output"][0].update(name=name))
            .answer()
        )

    server.on("/responses", ask, recording(RESPONSE).answer())

    async def run() -> None:
        params = {"command": sys.executable, "args": ["-c", SERVER]}
        async with MCPServerStdio(params=params, client_session_timeout_seconds=20) as weather:
            agent = responses_agent(
                server,
                mcp_servers=[weather],
                mcp_config={"include_server_in_tool_names": True},
            )
            await Runner.run(agent, PROMPT)

    asyncio.run(run())

    [tool] = used_tools(running)
    assert (tool.tool, tool.connection, tool.agent) == ("get_weather", "weather", "researcher")


def test_a_blocked_tool_of_an_mcp_server_stops_the_run(
    server: ReplayServer, running: Meter
) -> None:
    instrument("mcp")
    with_tool(server)
    running.block(connection="weather")

    async def run() -> None:
        params = {"command": sys.executable, "args": ["-c", SERVER]}
        async with MCPServerStdio(params=params, client_session_timeout_seconds=20) as weather:
            await Runner.run(responses_agent(server, mcp_servers=[weather]), PROMPT)

    with pytest.raises(meter.CallBlocked):
        asyncio.run(run())

    assert len(server.requests) == 1
    assert used_tools(running) == []
