"""The hooks for the OpenAI Agents SDK, alone and with hooks of the host."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

import openai
import pytest
from agents import (
    Agent,
    RunHooks,
    Runner,
    Tool,
    set_trace_processors,
)

from agents_sdk import (
    CHAT,
    MODEL,
    RESPONSE,
    Tools,
    chat_agent,
    llm,
    responses_agent,
    with_tool,
)
from answering import Answer, ReplayServer
from canary import PROMPT
from metered_once import assert_usage
from recordings import recording
from tollway import meter
from tollway.producers.adapters import instrument, uninstrument
from tollway.producers.adapters.openai_agents import run_hooks
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("openai_agents")


@pytest.fixture(autouse=True)
def untraced() -> None:
    """Traces go on, and nowhere: the SDK's own exporter sends them to its vendor."""
    set_trace_processors([])


@pytest.fixture
def tools() -> Tools:
    return Tools()


class Noting(RunHooks):  # type: ignore[misc]  # no types here
    """A host's own hooks."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def on_agent_start(self, context: object, agent: Agent) -> None:
        self.heard.append(f"start {agent.name}")

    async def on_llm_start(self, context: object, agent: Agent, *rest: object) -> None:
        self.heard.append("llm start")

    async def on_llm_end(self, context: object, agent: Agent, response: object) -> None:
        self.heard.append("llm end")

    async def on_tool_start(self, context: object, agent: Agent, tool: Tool) -> None:
        self.heard.append(f"tool {tool.name}")

    async def on_agent_end(self, context: object, agent: Agent, output: object) -> None:
        self.heard.append("end")


HEARD = [
    "start researcher",
    "llm start",
    "llm end",
    "tool get_weather",
    "llm start",
    "llm end",
    "end",
]


@pytest.mark.parametrize("given", ["by instrument", "by the host"])
def test_the_hosts_own_hooks_hear_what_they_heard_before(
    given: str, server: ReplayServer, running: Meter, tools: Tools
) -> None:
    with_tool(server)
    agent = responses_agent(server, tools=[tools.weather()])
    own = Noting()
    hooks = own
    if given == "by the host":
        uninstrument()
        hooks = run_hooks(own)

    asyncio.run(Runner.run(agent, PROMPT, hooks=hooks))

    assert own.heard == HEARD
    assert len(running.events()) == 3


def test_the_hosts_hooks_with_ours_inside_are_metered_once(
    server: ReplayServer, running: Meter, tools: Tools
) -> None:
    with_tool(server)

    class Around(Noting):
        """What a host may write to have two hooks."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = run_hooks()

        async def on_llm_start(self, *args: object) -> None:
            await self.inner.on_llm_start(*args)

        async def on_llm_end(self, *args: object) -> None:
            await self.inner.on_llm_end(*args)

        async def on_tool_start(self, *args: object) -> None:
            await self.inner.on_tool_start(*args)

        async def on_tool_end(self, *args: object) -> None:
            await self.inner.on_tool_end(*args)

    agent = responses_agent(server, tools=[tools.weather()])

    asyncio.run(Runner.run(agent, PROMPT, hooks=Around()))

    assert [event.kind for event in running.events()] == ["llm", "tool", "llm"]


def test_what_are_no_hooks_is_refused_as_before(server: ReplayServer) -> None:
    with pytest.raises(TypeError, match="Run hooks must be instances of RunHooks"):
        asyncio.run(Runner.run(responses_agent(server), PROMPT, hooks="none"))


Alone = Callable[..., Coroutine[Any, Any, Any]]


@pytest.fixture
def alone() -> Alone:
    """Runs an agent with our hooks and nothing attached."""
    uninstrument()
    return lambda agent, **more: Runner.run(agent, PROMPT, hooks=run_hooks(), **more)


def test_the_hooks_alone_meter_models_and_tools(
    alone: Alone, server: ReplayServer, running: Meter, tools: Tools
) -> None:
    asks, answers = with_tool(server)

    asyncio.run(alone(responses_agent(server, tools=[tools.weather()])))

    first, tool, second = running.events()
    assert_usage(first, asks, provider="openai", model=MODEL)
    assert (tool.tool, tool.agent, tool.status) == ("get_weather", "researcher", "ok")
    assert_usage(second, answers, provider="openai", model=MODEL)
    assert {event.agent for event in running.events()} == {"researcher"}
    assert len({event.session for event in running.events()}) == 1


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_the_hooks_alone_and_the_sdks_adapter_tell_of_one_call_by_one_id(
    api: str, alone: Alone, server: ReplayServer, running: Meter
) -> None:
    instrument("openai")
    recorded = recording(RESPONSE if api == "responses" else CHAT)
    server.on(recorded.path, recorded.answer())
    agent = responses_agent(server) if api == "responses" else chat_agent(server)

    async def run() -> object:
        with meter.session() as session:
            await alone(agent)
            return session.report()["breakdown"]["llm"]["calls"]

    assert asyncio.run(run()) == 1
    assert len({(event.source, event.id) for event in llm(running)}) == 1


@pytest.mark.parametrize("subject", [{"agent": "researcher"}, {"model": MODEL}])
def test_the_hooks_alone_block_before_anything_is_asked(
    subject: dict[str, str], alone: Alone, server: ReplayServer, running: Meter
) -> None:
    running.block(**subject)

    with pytest.raises(meter.CallBlocked):
        asyncio.run(alone(responses_agent(server)))

    assert server.requests == []


def test_the_hooks_alone_block_a_tool(
    alone: Alone, server: ReplayServer, running: Meter, tools: Tools
) -> None:
    with_tool(server)
    running.block(tool="get_weather")

    with pytest.raises(meter.CallBlocked):
        asyncio.run(alone(responses_agent(server, tools=[tools.weather()])))

    assert tools.ran == []


def test_the_hooks_alone_tell_a_failed_model_once_its_run_is_gone(
    alone: Alone, server: ReplayServer, running: Meter
) -> None:
    server.on("/responses", Answer(status=400, body=b'{"error": {"message": "bad"}}'))

    with pytest.raises(openai.BadRequestError) as raised:
        asyncio.run(alone(responses_agent(server)))
    # It holds the run's frames.
    del raised
    gc.collect()

    [event] = running.events()
    assert (event.status, event.usage_missing) == ("aborted", True)
