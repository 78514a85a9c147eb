"""CrewAI's tools: events of their own, refused before they run."""

import asyncio
import os
from collections.abc import Iterator

# Before CrewAI is imported: it would tell its maker of every run, and LiteLLM ask for prices.
os.environ.update(CREWAI_DISABLE_TELEMETRY="true", LITELLM_LOCAL_MODEL_COST_MAP="true")

import pytest
from crewai import Agent, BaseLLM
from crewai.hooks import register_before_tool_call_hook, unregister_before_tool_call_hook
from crewai.tools import tool
from pydantic import Field

from answering import ReplayServer
from canary import PROMPT
from crews import CACHED, CALLS_TOOL, PLAIN, Framework, crew_of, llm_of, of_kind
from metered_once import assert_usage
from recordings import recording
from tollway import meter
from tollway.producers.adapters import crewai as adapter
from tollway.producers.adapters import crewai_tools, uninstrument
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework(
    "crewai", lacks={"abort": "a stream is read to its end inside the call of a model"}
)


def test_a_model_without_a_crew_is_metered(server: ReplayServer, running: Meter) -> None:
    recorded = recording(CACHED)
    server.on("/chat/completions", recorded.answer())
    llm_of(server, "openai/gpt-4o-2024-08-06").call(PROMPT)
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai", model="gpt-4o-2024-08-06")
    assert event.tags == {"framework": "crewai"}


def test_a_blocked_model_alone_reaches_the_host(server: ReplayServer, running: Meter) -> None:
    running.block(provider="openai")
    with pytest.raises(meter.CallBlocked):
        llm_of(server).call(PROMPT)
    with pytest.raises(meter.CallBlocked):
        asyncio.run(llm_of(server).acall(PROMPT))
    assert server.requests == []


@tool("get_image")  # type: ignore[untyped-decorator]  # it has no types here
def get_image() -> str:
    """An image."""
    return "a file of 12 bytes"


@pytest.mark.shows("tool")
def test_a_tool_is_an_event_of_its_own(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", recording(CALLS_TOOL).answer(), recording(PLAIN).answer())
    crew_of(llm_of(server), get_image).kickoff()
    assert [event.tool_calls for event in of_kind(running, "llm")] == [1, 0]
    (event,) = of_kind(running, "tool")
    assert (event.tool, event.agent, event.task) == ("get_image", "researcher", "greet")
    assert event.status == "ok"
    assert event.args_hash is not None
    assert event.result_hash is not None
    assert event.result_tokens == 4
    assert event.duration_ms is not None


def test_a_blocked_tool_does_not_run_and_its_model_is_not_told(
    server: ReplayServer, running: Meter
) -> None:
    ran: list[str] = []

    @tool("get_image")  # type: ignore[untyped-decorator]  # it has no types here
    def look() -> str:
        """An image."""
        ran.append("looked")
        return "seen"

    server.on("/chat/completions", recording(CALLS_TOOL).answer(), recording(PLAIN).answer())
    running.block(tool="get_image")
    with pytest.raises(meter.CallBlocked):
        crew_of(llm_of(server), look).kickoff()
    assert ran == []
    assert len(server.requests) == 1
    assert of_kind(running, "tool") == []


def test_a_tool_that_fails_is_an_event_of_an_error(server: ReplayServer, running: Meter) -> None:
    @tool("get_image")  # type: ignore[untyped-decorator]  # it has no types here
    def broken() -> str:
        """An image."""
        raise ValueError(PROMPT)

    server.on("/chat/completions", recording(CALLS_TOOL).answer(), recording(PLAIN).answer())
    crew_of(llm_of(server), broken).kickoff()
    (event,) = of_kind(running, "tool")
    assert (event.tool, event.status) == ("get_image", "error")


def test_an_agent_that_is_blocked_while_it_runs_makes_no_further_call(
    server: ReplayServer, running: Meter
) -> None:
    @tool("get_image")  # type: ignore[untyped-decorator]  # it has no types here
    def spend() -> str:
        """An image."""
        running.block(agent="researcher")
        return "seen"

    server.on("/chat/completions", recording(CALLS_TOOL).answer(), recording(PLAIN).answer())
    with pytest.raises(meter.CallBlocked):
        crew_of(llm_of(server), spend).kickoff()
    assert len(server.requests) == 1
    assert [event.kind for event in running.events()] == ["llm", "tool"]


class Thinking(BaseLLM):  # type: ignore[misc]  # it has no types here
    """A model without function calling: its tools are words of its answer."""

    said: list[str] = Field(default_factory=list)

    def call(self, messages: object, **_: object) -> str:
        self._track_token_usage_internal({"prompt_tokens": 20, "completion_tokens": 3})
        self.said.append("asked")
        if len(self.said) == 1:
            return "Thought: look\nAction: get_image\nAction Input: {}\n"
        return "Thought: done\nFinal Answer: hello"

    def supports_function_calling(self) -> bool:
        return False


def test_a_tool_that_is_called_in_words_is_an_event_too(running: Meter) -> None:
    llm = Thinking(model="own-1")
    assert crew_of(llm, get_image).kickoff().raw == "hello"
    assert [(event.kind, event.agent) for event in running.events()] == [
        ("llm", "researcher"),
        ("tool", "researcher"),
        ("llm", "researcher"),
    ]


def test_a_blocked_tool_that_is_called_in_words_stops_the_crew(running: Meter) -> None:
    llm = Thinking(model="own-1")
    running.block(tool="get_image")
    with pytest.raises(meter.CallBlocked):
        crew_of(llm, get_image).kickoff()
    assert llm.said == ["asked"]


def test_an_agent_without_a_crew_is_metered(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", recording(CALLS_TOOL).answer(), recording(PLAIN).answer())
    llm = llm_of(server)
    alone = Agent(role="writer", goal="write", backstory="alone", llm=llm, tools=[get_image])
    assert alone.kickoff(PROMPT).raw
    assert [(event.kind, event.agent) for event in running.events()] == [
        ("llm", "writer"),
        ("tool", "writer"),
        ("llm", "writer"),
    ]


@pytest.fixture
def _forbidding() -> Iterator[None]:
    def forbid(_: Framework) -> bool:
        return False

    register_before_tool_call_hook(forbid)
    yield
    unregister_before_tool_call_hook(forbid)


@pytest.mark.usefixtures("_forbidding")
def test_a_tool_that_the_hosts_hook_forbids_is_no_event(
    server: ReplayServer, running: Meter
) -> None:
    server.on("/chat/completions", recording(CALLS_TOOL).answer(), recording(PLAIN).answer())
    crew_of(llm_of(server), get_image).kickoff()
    assert of_kind(running, "tool") == []


def test_the_listener_alone_meters_until_it_is_closed(server: ReplayServer, running: Meter) -> None:
    uninstrument()
    listener = adapter.TollwayListener()
    recorded = recording(CACHED)
    server.on("/chat/completions", recorded.answer())
    llm_of(server).call(PROMPT)
    listener.close()
    llm_of(server).call(PROMPT)
    assert len(running.events()) == 1


def test_the_listener_and_all_attached_meter_once(server: ReplayServer, running: Meter) -> None:
    listener = adapter.TollwayListener()
    server.on("/chat/completions", recording(CALLS_TOOL).answer(), recording(PLAIN).answer())
    crew_of(llm_of(server), get_image).kickoff()
    listener.close()
    assert [event.kind for event in running.events()] == ["llm", "tool", "llm"]
    assert running.events()[0].input_tokens == 46
    uninstrument()
    crew_of(llm_of(server), get_image).kickoff()
    assert len(running.events()) == 3


@pytest.mark.our_fault
def test_a_fault_of_ours_is_not_the_hosts(
    server: ReplayServer, running: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise LookupError(PROMPT)

    for name in ("_asked", "_usage", "_hear"):
        monkeypatch.setattr(adapter, name, broken)
    monkeypatch.setattr(crewai_tools, "_asked_tool", broken)
    server.on("/chat/completions", recording(CALLS_TOOL).answer(), recording(PLAIN).answer())
    assert crew_of(llm_of(server), get_image).kickoff().raw
    assert running.events() == []
