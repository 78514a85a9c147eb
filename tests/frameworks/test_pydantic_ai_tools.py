"""Pydantic AI against recorded responses: tools, agents in tools, and the capability alone."""

import asyncio

import pytest
from pydantic_ai import Agent, ModelRetry, RunContext

from answering import ReplayServer
from canary import PROMPT
from metered_once import assert_usage
from pydantic_agents import (
    CHAT,
    CHAT_STREAM,
    CHAT_TOOL,
    Weather,
    chat,
    researcher,
    used_tools,
    with_tool,
)
from recordings import recording
from tollway import meter
from tollway.producers.adapters import pydantic_ai_capability, uninstrument
from tollway.producers.adapters.pydantic_ai import capability
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("pydantic_ai")


@pytest.mark.shows("tool")
def test_a_tool_is_an_event_between_two_of_the_model(server: ReplayServer, running: Meter) -> None:
    asks, answers = with_tool(server)
    weather = Weather()

    asyncio.run(researcher(chat(server), tools=[weather.get_weather]).run(PROMPT))

    assert weather.ran == ["Paris"]
    first, tool, second = running.events()
    assert_usage(first, asks, provider="openai")
    assert first.tool_calls == 1
    assert (tool.kind, tool.tool, tool.agent) == ("tool", "get_weather", "researcher")
    assert tool.status == "ok"
    assert tool.args_hash
    assert tool.result_hash
    # 25 characters, at about 4 a token.
    assert tool.result_tokens == 6
    assert_usage(second, answers, provider="openai")
    assert len({event.session for event in running.events()}) == 1


def test_a_blocked_tool_is_not_run(server: ReplayServer, running: Meter) -> None:
    with_tool(server)
    weather = Weather()
    running.block(tool="get_weather")

    with pytest.raises(meter.CallBlocked):
        asyncio.run(researcher(chat(server), tools=[weather.get_weather]).run(PROMPT))

    assert weather.ran == []
    assert len(server.requests) == 1
    assert used_tools(running) == []


def test_a_block_inside_a_tool_comes_out_of_the_run(server: ReplayServer, running: Meter) -> None:
    with_tool(server)
    running.block(model="gpt-5")

    def get_weather(location: str) -> str:
        meter.check(model="gpt-5")
        return "rain"

    with pytest.raises(meter.CallBlocked):
        asyncio.run(researcher(chat(server), tools=[get_weather]).run(PROMPT))

    assert len(server.requests) == 1


@pytest.mark.shows("error")
@pytest.mark.parametrize("failure", [ModelRetry("again"), ValueError("no weather")])
def test_a_tool_that_failed_is_an_event_that_says_so(
    failure: Exception, server: ReplayServer, running: Meter
) -> None:
    with_tool(server)
    agent = researcher(chat(server), tools=[Weather(failure).get_weather])

    if isinstance(failure, ModelRetry):
        asyncio.run(agent.run(PROMPT))
    else:
        with pytest.raises(ValueError, match="no weather"):
            asyncio.run(agent.run(PROMPT))

    [tool] = used_tools(running)
    assert (tool.tool, tool.status, tool.usage_missing) == ("get_weather", "error", False)


def test_a_tool_that_waits_for_approval_has_not_run(server: ReplayServer, running: Meter) -> None:
    from pydantic_ai import ApprovalRequired, DeferredToolRequests

    with_tool(server)
    weather = Weather(ApprovalRequired())
    agent = researcher(
        chat(server), tools=[weather.get_weather], output_type=[str, DeferredToolRequests]
    )

    result = asyncio.run(agent.run(PROMPT))

    assert isinstance(result.output, DeferredToolRequests)
    assert used_tools(running) == []


def test_an_agent_that_a_tool_runs_is_a_session_of_its_own_and_a_child(
    server: ReplayServer, running: Meter
) -> None:
    asks = recording(CHAT_TOOL).edited(
        lambda body: body["choices"][0]["message"]["tool_calls"][0]["function"].update(
            name="ask_writer", arguments="{}"
        )
    )
    server.on(
        asks.path,
        asks.answer(),
        recording(CHAT).with_id(1).answer(),
        recording(CHAT).with_id(2).answer(),
    )
    writer = Agent(chat(server), name="writer")

    async def ask_writer(ctx: RunContext[None]) -> str:
        return str((await writer.run(PROMPT)).output)

    result = asyncio.run(researcher(chat(server), tools=[ask_writer]).run(PROMPT))

    outer = result.run_id
    told = [(event.kind, event.agent, event.parent_session) for event in running.events()]
    assert told == [
        ("llm", "researcher", None),
        ("llm", "writer", outer),
        ("tool", "researcher", None),
        ("llm", "researcher", None),
    ]
    sessions = [event.session for event in running.events()]
    assert sessions == [outer, sessions[1], outer, outer]
    assert sessions[1] != outer


@pytest.mark.our_fault
@pytest.mark.parametrize("where", ["_plain", "response_usage", "provider_of"])
def test_a_fault_of_ours_is_not_the_hosts(
    where: str, server: ReplayServer, running: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pydantic_ai_capability, where, lambda *args: 1 / 0)
    with_tool(server)
    weather = Weather()

    result = asyncio.run(researcher(chat(server), tools=[weather.get_weather]).run(PROMPT))

    assert result.output
    assert weather.ran == ["Paris"]


@pytest.mark.parametrize("attached", [False, True])
def test_the_capability_meters_its_agent_once(
    attached: bool, server: ReplayServer, running: Meter
) -> None:
    if not attached:
        uninstrument()
    asks, answers = with_tool(server)
    agent = researcher(chat(server), tools=[Weather().get_weather], capabilities=[capability()])

    asyncio.run(agent.run(PROMPT))

    first, tool, second = running.events()
    assert_usage(first, asks, provider="openai")
    assert tool.tool == "get_weather"
    assert_usage(second, answers, provider="openai")


def test_the_capability_alone_blocks_and_streams(server: ReplayServer, running: Meter) -> None:
    uninstrument()
    recorded = recording(CHAT_STREAM)
    server.on(recorded.path, recorded.answer())
    agent = researcher(chat(server), capabilities=[capability()])

    async def run() -> None:
        async with agent.run_stream(PROMPT) as stream:
            await stream.get_output()

    asyncio.run(run())
    running.block(agent="researcher")
    with pytest.raises(meter.CallBlocked):
        asyncio.run(run())

    assert len(server.requests) == 1
    [event] = running.events()
    assert_usage(event, recorded, provider="openai")
