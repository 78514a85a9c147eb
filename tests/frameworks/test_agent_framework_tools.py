"""Tools of Microsoft Agent Framework: events of their own, refused before they run."""

import asyncio
from typing import Any

import pytest
from agent_framework import Agent, tool

from answering import ReplayServer
from canary import PROMPT
from framework_agents import (
    CALLS_TOOL,
    PLAIN,
    RESPONSE,
    Framework,
    answer,
    chat,
    of_kind,
    researcher,
    responses,
)
from metered_once import assert_usage
from recordings import recording
from tollway import meter
from tollway.producers.adapters import agent_framework as adapter
from tollway.producers.adapters import uninstrument
from tollway.producers.adapters.agent_framework import middleware
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("agent_framework")


@pytest.mark.parametrize("attached", [False, True])
def test_the_middleware_alone_meters_and_with_all_attached_no_more(
    server: ReplayServer, running: Meter, attached: bool
) -> None:
    if not attached:
        uninstrument()
    recorded = recording(RESPONSE)
    server.on("/responses", recorded.answer())
    answer(researcher(responses(server), middleware=middleware()).run(PROMPT))
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")
    assert event.agent == "researcher"


@tool  # type: ignore[untyped-decorator]  # it has no types here
def get_image() -> str:
    """An image."""
    return "a file of 12 bytes"


@pytest.mark.shows("tool")
@pytest.mark.parametrize("attached", [False, True])
def test_a_tool_is_an_event_of_its_own(
    server: ReplayServer, running: Meter, attached: bool
) -> None:
    if not attached:
        uninstrument()
    server.on("/chat/completions", recording(CALLS_TOOL).answer(), recording(PLAIN).answer())
    agent = researcher(chat(server), tools=[get_image], middleware=middleware())
    answer(agent.run(PROMPT))
    assert [event.tool_calls for event in of_kind(running, "llm")] == [1, 0]
    (event,) = of_kind(running, "tool")
    assert (event.tool, event.agent, event.status) == ("get_image", "researcher", "ok")
    assert event.args_hash is not None
    assert event.result_hash is not None
    assert event.result_tokens == 4
    assert event.duration_ms is not None


def test_a_blocked_tool_does_not_run_and_its_model_is_not_told(
    server: ReplayServer, running: Meter
) -> None:
    ran: list[str] = []

    @tool(name="get_image")  # type: ignore[untyped-decorator]  # it has no types here
    def look() -> str:
        ran.append("looked")
        return "seen"

    server.on("/chat/completions", recording(CALLS_TOOL).answer(), recording(PLAIN).answer())
    running.block(tool="get_image")
    with pytest.raises(meter.CallBlocked):
        answer(researcher(chat(server), tools=[look]).run(PROMPT))
    assert ran == []
    assert len(server.requests) == 1
    assert of_kind(running, "tool") == []


def test_an_agent_that_is_a_tool_is_metered_as_itself_and_stops_its_caller(
    server: ReplayServer, running: Meter
) -> None:
    # Edited: the recorded call is of another tool.
    def renamed(body: dict[str, Any]) -> None:
        function = body["choices"][0]["message"]["tool_calls"][0]["function"]
        function.update(name="writer", arguments='{"task": "write"}')

    asks_writer = recording(CALLS_TOOL).edited(renamed)
    server.on(
        "/chat/completions",
        asks_writer.answer(),
        recording(PLAIN).answer(),
        recording(PLAIN).with_id(2).answer(),
        asks_writer.with_id(3).answer(),
    )
    writer = Agent(chat(server), name="writer").as_tool()
    boss = Agent(chat(server), name="boss", tools=[writer])

    async def twice() -> None:
        await boss.run(PROMPT)
        running.block(agent="writer")
        with pytest.raises(meter.CallBlocked):
            await boss.run(PROMPT)

    asyncio.run(twice())
    assert [(event.kind, event.agent) for event in running.events()] == [
        ("llm", "boss"),
        ("llm", "writer"),
        ("tool", "boss"),
        ("llm", "boss"),
        ("llm", "boss"),
    ]
    assert len(server.requests) == 4


def test_a_tool_that_fails_is_an_event_of_an_error(server: ReplayServer, running: Meter) -> None:
    @tool(name="get_image")  # type: ignore[untyped-decorator]  # it has no types here
    def broken() -> str:
        raise ValueError(PROMPT)

    server.on("/chat/completions", recording(CALLS_TOOL).answer(), recording(PLAIN).answer())
    answer(researcher(chat(server), tools=[broken]).run(PROMPT))
    (event,) = of_kind(running, "tool")
    assert (event.tool, event.status) == ("get_image", "error")


def test_an_answer_of_the_hosts_middleware_costs_nothing(
    server: ReplayServer, running: Meter
) -> None:
    from agent_framework import ChatMiddleware, ChatResponse, Message

    class Canned(ChatMiddleware):  # type: ignore[misc]  # it has no types here
        async def process(self, context: Framework, call_next: Framework) -> None:
            context.result = ChatResponse(messages=[Message("assistant", ["canned"])])

    said = answer(researcher(chat(server), middleware=[Canned()]).run(PROMPT))
    assert said.text == "canned"
    assert running.events() == []


@pytest.mark.our_fault
def test_a_fault_of_ours_is_not_the_hosts(
    server: ReplayServer, running: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise LookupError(PROMPT)

    for name in ("_asked", "_asked_tool", "_agent"):
        monkeypatch.setattr(adapter, name, broken)
    server.on("/chat/completions", recording(CALLS_TOOL).answer(), recording(PLAIN).answer())
    assert answer(researcher(chat(server), tools=[get_image]).run(PROMPT)).text
    assert running.events() == []


def test_prompts_are_alike_where_what_was_said_is(server: ReplayServer, running: Meter) -> None:
    calls, plain = recording(CALLS_TOOL), recording(PLAIN)
    replies = [calls, plain, calls.with_id(2), plain.with_id(2), plain.with_id(3)]
    server.on("/chat/completions", *(each.answer() for each in replies))

    async def runs() -> None:
        agent = researcher(chat(server), tools=[get_image])
        for prompt in (PROMPT, PROMPT, f"{PROMPT} Again."):
            await agent.run(prompt)

    asyncio.run(runs())
    first, second, third, fourth, other = (event.prompt_hash for event in of_kind(running, "llm"))
    assert (first, second) == (third, fourth)
    assert len({first, second, other}) == 3
