"""AutoGen's tools: events of their own, refused before they run."""

import asyncio
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.tools import AgentTool
from autogen_core import (
    AgentId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    message_handler,
)
from autogen_core.tools import FunctionTool, StaticWorkbench
from pydantic import BaseModel

from answering import ReplayServer
from autogen_parts import (
    CALLS_TOOL,
    PLAIN,
    client_of,
    create,
    of_kind,
    researcher,
    team_of,
)
from canary import PROMPT
from recordings import recording
from tollway import meter
from tollway.producers.adapters import autogen as adapter
from tollway.producers.adapters import autogen_tools, uninstrument
from tollway.producers.adapters.autogen import metered
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("autogen")


async def get_image() -> str:
    """An image."""
    return "a file of 12 bytes"


@pytest.mark.shows("tool")
def test_a_tool_is_an_event_of_its_own(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", recording(CALLS_TOOL).answer(), recording(PLAIN).answer())
    agent = researcher(client_of(server), get_image, reflect_on_tool_use=True)
    asyncio.run(agent.run(task=PROMPT))
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

    async def look() -> str:
        ran.append("looked")
        return "seen"

    server.on("/chat/completions", recording(CALLS_TOOL).answer(), recording(PLAIN).answer())
    running.block(tool="get_image")
    tool = FunctionTool(look, "An image.", name="get_image")
    agent = researcher(client_of(server), tool, reflect_on_tool_use=True)
    with pytest.raises(meter.CallBlocked):
        asyncio.run(agent.run(task=PROMPT))
    assert ran == []
    assert len(server.requests) == 1
    assert of_kind(running, "tool") == []


def test_a_blocked_tool_ends_its_team(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", recording(CALLS_TOOL).answer(), recording(PLAIN).answer())
    running.block(tool="get_image")
    with pytest.raises(meter.CallBlocked):
        asyncio.run(team_of(researcher(client_of(server), get_image)).run(task=PROMPT))
    assert len(server.requests) == 1


def test_a_tool_that_fails_is_an_event_of_an_error(server: ReplayServer, running: Meter) -> None:
    async def broken() -> str:
        raise ValueError(PROMPT)

    server.on("/chat/completions", recording(CALLS_TOOL).answer())
    tool = FunctionTool(broken, "An image.", name="get_image")
    asyncio.run(researcher(client_of(server), tool).run(task=PROMPT))
    (event,) = of_kind(running, "tool")
    assert (event.tool, event.status) == ("get_image", "error")


def test_a_workbench_without_an_agent_raises(running: Meter) -> None:
    bench = StaticWorkbench([FunctionTool(get_image, "An image.")])
    result = asyncio.run(bench.call_tool("get_image", {}))
    assert result.to_text() == "a file of 12 bytes"
    running.block(tool="get_image")
    with pytest.raises(meter.CallBlocked):
        asyncio.run(bench.call_tool("get_image", {}))
    assert [event.tool for event in running.events()] == ["get_image"]


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
        asks_writer.with_id(3).answer(),
    )
    writer = AgentTool(AssistantAgent("writer", client_of(server), description="It writes."))

    async def twice() -> None:
        await researcher(client_of(server), writer).run(task=PROMPT)
        running.block(agent="writer")
        with pytest.raises(meter.CallBlocked):
            await researcher(client_of(server), writer).run(task=PROMPT)

    asyncio.run(twice())
    assert [(event.kind, event.agent) for event in running.events()] == [
        ("llm", "researcher"),
        ("llm", "writer"),
        ("tool", "researcher"),
        ("llm", "researcher"),
        ("tool", "researcher"),
    ]
    assert [event.status for event in of_kind(running, "tool")] == ["ok", "error"]
    assert len(server.requests) == 3


@pytest.mark.parametrize("attached", [False, True])
def test_one_by_one_they_are_metered_and_with_all_attached_no_more(
    server: ReplayServer, running: Meter, attached: bool
) -> None:
    if not attached:
        uninstrument()
    server.on("/chat/completions", recording(CALLS_TOOL).answer())
    tool = metered(FunctionTool(get_image, "An image."))
    agent = metered(AssistantAgent("researcher", metered(client_of(server)), tools=[tool]))
    asyncio.run(agent.run(task=PROMPT))
    assert [(event.kind, event.agent) for event in running.events()] == [
        ("llm", "researcher"),
        ("tool", "researcher"),
    ]


@pytest.mark.our_fault
def test_a_fault_of_ours_is_not_the_hosts(
    server: ReplayServer, running: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise LookupError(PROMPT)

    for name in ("_asked", "_answered", "_says_options"):
        monkeypatch.setattr(adapter, name, broken)
    for name in ("_asked_tool", "_returned"):
        monkeypatch.setattr(autogen_tools, name, broken)
    server.on("/chat/completions", recording(CALLS_TOOL).answer())
    asyncio.run(researcher(client_of(server), get_image).run(task=PROMPT))
    assert running.events() == []


def test_a_core_agents_calls_are_of_its_type_and_key(server: ReplayServer, running: Meter) -> None:
    class Question(BaseModel):
        text: str

    class Asker(RoutedAgent):  # type: ignore[misc]  # it has no types here
        @message_handler  # type: ignore[untyped-decorator]  # it has no types here
        async def asked(self, message: Question, context: MessageContext) -> None:
            await create(client_of(server))

    server.on("/chat/completions", recording(PLAIN).answer())

    async def run() -> None:
        runtime = SingleThreadedAgentRuntime()
        await Asker.register(runtime, "asker", lambda: Asker("It asks."))
        runtime.start()
        await runtime.send_message(Question(text="ask"), AgentId("asker", "talk-1"))
        await runtime.stop_when_idle()

    asyncio.run(run())
    (event,) = running.events()
    assert (event.agent, event.session) == ("asker", "talk-1")
