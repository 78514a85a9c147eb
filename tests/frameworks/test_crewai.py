"""CrewAI against recorded responses: crews, agents and models alone, attached or listened to."""

import asyncio
import os
import threading
from collections.abc import Iterator
from typing import Any

# Before CrewAI is imported: it would tell its maker of every run.
os.environ.update(
    {"CREWAI_DISABLE_TELEMETRY": "true", "OTEL_SDK_DISABLED": "true", "CREWAI_TESTING": "true"}
)

import pytest
from crewai import LLM, Agent, BaseLLM, Crew, Task
from crewai.hooks import register_before_tool_call_hook, unregister_before_tool_call_hook
from crewai.tools import tool
from pydantic import Field

from answering import Answer, ReplayServer
from canary import PROMPT
from metered_once import assert_usage
from recordings import recording
from tollway import meter
from tollway.contract.usage import UsageEvent
from tollway.producers.adapters import crewai as adapter
from tollway.producers.adapters import crewai_tools, instrument, uninstrument
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework(
    "crewai", lacks={"abort": "a stream is read to its end inside the call of a model"}
)

CACHED = "openai/chat_completions__cached__gpt-4o__43c40"
PLAIN = "openai/chat_completions__plain__gpt-4o-mini__de705"
# It calls the tool get_image, without arguments.
CALLS_TOOL = "chat_completions__tools__gpt-4o__73a2c"
STREAM = "chat_completions__stream__gpt-4__6d197"
MESSAGE = "messages__cached__claude-sonnet-4-5__6a4a8"
# The framework has no types where these tests are checked.
Framework = Any


def llm_of(server: ReplayServer, model: str = "openai/gpt-4o", **more: object) -> Framework:
    return LLM(model=model, base_url=f"{server.url}/v1", api_key="none", max_retries=0, **more)


def crew_of(llm: Framework, *tools: Framework, name: str = "researcher") -> Framework:
    agent = Agent(
        role=name, goal="find out", backstory="curious", llm=llm, tools=list(tools), verbose=False
    )
    task = Task(name="greet", description=PROMPT, expected_output="a word", agent=agent)
    return Crew(agents=[agent], tasks=[task], verbose=False)


def of_kind(running: Meter, kind: str) -> list[UsageEvent]:
    return [event for event in running.events() if event.kind == kind]


@pytest.mark.shows("meter", "agent name")
@pytest.mark.parametrize("both", [False, True])
def test_a_crews_call_is_one_event_of_the_agents_role(
    server: ReplayServer, running: Meter, both: bool
) -> None:
    if both:
        instrument("openai")
    recorded = recording(PLAIN)
    server.on("/chat/completions", recorded.answer())
    crew = crew_of(llm_of(server, "openai/gpt-4o-mini"))
    assert crew.kickoff().raw
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")
    assert (event.agent, event.session, event.task) == ("researcher", str(crew.id), "greet")
    assert event.prompt_hash is not None
    assert event.id.startswith("chatcmpl-")


def test_a_model_without_a_crew_is_metered(server: ReplayServer, running: Meter) -> None:
    recorded = recording(CACHED)
    server.on("/chat/completions", recorded.answer())
    llm_of(server, "openai/gpt-4o-2024-08-06").call(PROMPT)
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai", model="gpt-4o-2024-08-06")
    assert event.tags == {"framework": "crewai"}


def test_claude_is_metered_with_what_its_caches_read_and_wrote(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(MESSAGE)
    server.on("/messages", recorded.answer())
    llm = LLM(model="anthropic/claude-sonnet-4-5", base_url=server.url, api_key="none")
    llm.call(PROMPT)
    (event,) = running.events()
    assert_usage(event, recorded, provider="anthropic", model="claude-sonnet-4-5")


@pytest.mark.shows("async")
def test_an_asynchronous_call_is_metered_as_well(server: ReplayServer, running: Meter) -> None:
    recorded = recording(CACHED)
    server.on("/chat/completions", recorded.answer())
    asyncio.run(llm_of(server, "openai/gpt-4o-2024-08-06").acall(PROMPT))
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai", model="gpt-4o-2024-08-06")


@pytest.mark.shows("stream")
@pytest.mark.parametrize("both", [False, True])
def test_a_stream_is_counted_at_its_end(server: ReplayServer, running: Meter, both: bool) -> None:
    if both:
        instrument("openai")
    recorded = recording(STREAM)
    server.on("/chat/completions", recorded.answer())
    llm_of(server, "openai/gpt-4-0613", stream=True).call(PROMPT)
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


@pytest.mark.shows("block")
@pytest.mark.parametrize("subject", [{"agent": "researcher"}, {"model": "gpt-4o"}])
def test_a_blocked_call_reaches_the_host_and_not_the_provider(
    server: ReplayServer, running: Meter, subject: dict[str, str]
) -> None:
    running.block(**subject)
    with pytest.raises(meter.CallBlocked) as raised:
        crew_of(llm_of(server)).kickoff()
    assert raised.value.decision is not None
    assert server.requests == []
    assert running.events() == []


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


@pytest.mark.shows("error")
def test_an_error_of_the_provider_is_one_event(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", Answer(status=400, body=b'{"error": {"message": "no"}}'))
    with pytest.raises(Exception, match="no"):
        llm_of(server).call(PROMPT)
    (event,) = running.events()
    assert (event.status, event.provider, event.model) == ("error", "openai", "gpt-4o")


@pytest.mark.shows("retry")
def test_a_retry_inside_the_client_is_one_call(server: ReplayServer, running: Meter) -> None:
    recorded = recording(CACHED)
    busy = Answer(status=500, body=b'{"error": {}}', headers={"retry-after-ms": "1"})
    server.on("/chat/completions", busy, recorded.answer())
    llm = LLM(
        model="openai/gpt-4o-2024-08-06", base_url=f"{server.url}/v1", api_key="no", max_retries=1
    )
    llm.call(PROMPT)
    assert len(server.requests) == 2
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai", model="gpt-4o-2024-08-06")


@pytest.mark.shows("concurrent")
def test_crews_that_run_at_a_time_do_not_mix(server: ReplayServer, running: Meter) -> None:
    recorded = recording(PLAIN)
    server.on("/chat/completions", *(recorded.with_id(each).answer() for each in range(40)))
    crews = {number: crew_of(llm_of(server), name=f"agent-{number}") for number in range(1, 5)}

    def run(number: int) -> None:
        with meter.attribute(customer=f"customer-{number}"):
            for _ in range(number):
                crews[number].kickoff()

    threads = [threading.Thread(target=run, args=(number,)) for number in crews]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = [(event.agent, event.session, event.customer) for event in running.events()]
    assert sorted(told) == sorted(
        (f"agent-{number}", str(crews[number].id), f"customer-{number}")
        for number in crews
        for _ in range(number)
    )


def test_a_model_of_the_hosts_own_that_is_defined_later_is_metered(running: Meter) -> None:
    class Own(BaseLLM):  # type: ignore[misc]  # it has no types here
        def call(self, messages: object, **_: object) -> str:
            self._track_token_usage_internal({"input_tokens": 20, "output_tokens": 3})
            return "hello"

    assert Own(model="own-1", provider="mine").call(PROMPT) == "hello"
    (event,) = running.events()
    assert (event.provider, event.model) == ("mine", "own-1")
    assert (event.input_tokens, event.output_tokens, event.usage_missing) == (20, 3, False)


def test_a_model_that_says_nothing_is_never_free(running: Meter) -> None:
    class Silent(BaseLLM):  # type: ignore[misc]  # it has no types here
        def call(self, messages: object, **_: object) -> str:
            return "hello"

    Silent(model="own-1").call(PROMPT)
    (event,) = running.events()
    assert event.usage_missing


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
