"""Microsoft Agent Framework against recorded responses: attached, and by its middleware alone."""

import asyncio
import gc
from collections.abc import Awaitable
from typing import Any

import openai
import pytest
from agent_framework import Agent, AgentSession, tool
from agent_framework.openai import OpenAIChatClient, OpenAIChatCompletionClient
from openai import AsyncOpenAI

from answering import Answer, ReplayServer
from canary import PROMPT
from metered_once import assert_usage
from recordings import recording
from tollway import meter
from tollway.contract.usage import UsageEvent
from tollway.producers.adapters import agent_framework as adapter
from tollway.producers.adapters import instrument, uninstrument
from tollway.producers.adapters.agent_framework import middleware
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("agent_framework")

PLAIN = "openai/chat_completions__plain__gpt-4o-mini__de705"
# It calls the tool get_image, without arguments.
CALLS_TOOL = "chat_completions__tools__gpt-4o__73a2c"
STREAM = "chat_completions__stream__gpt-4__6d197"
RESPONSE = "openai/responses__cached__gpt-4.1__2cc08"
RESPONSE_STREAM = "openai/responses__stream__gpt-4o-mini__c0ec6"
# The framework has no types where these tests are checked.
Framework = Any


def sdk(server: ReplayServer, retries: int = 0) -> AsyncOpenAI:
    return AsyncOpenAI(api_key="none", base_url=f"{server.url}/v1", max_retries=retries)


def chat(server: ReplayServer, retries: int = 0) -> OpenAIChatCompletionClient:
    return OpenAIChatCompletionClient(model="gpt-4o", async_client=sdk(server, retries))


def responses(server: ReplayServer) -> OpenAIChatClient:
    return OpenAIChatClient(model="gpt-4.1", async_client=sdk(server))


def researcher(client: Framework, **more: object) -> Agent:
    return Agent(client, name="researcher", **more)


def answer(asked: Awaitable[Framework]) -> Framework:
    async def awaited() -> Framework:
        return await asked

    return asyncio.run(awaited())


def of_kind(running: Meter, kind: str) -> list[UsageEvent]:
    return [event for event in running.events() if event.kind == kind]


@pytest.mark.shows("meter", "async", "agent name")
def test_an_agents_call_is_one_event_of_the_agent(server: ReplayServer, running: Meter) -> None:
    recorded = recording(PLAIN)
    server.on("/chat/completions", recorded.answer())
    answer(researcher(chat(server)).run(PROMPT, session=AgentSession(session_id="talk-1")))
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")
    assert (event.agent, event.session) == ("researcher", "talk-1")
    assert event.tags == {"framework": "agent_framework"}
    assert event.prompt_hash is not None
    assert event.source == "openai"


def test_what_the_host_attributes_itself_wins(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", recording(PLAIN).answer())
    with meter.attribute(agent="mine", session="run-7"):
        answer(researcher(chat(server)).run(PROMPT))
    (event,) = running.events()
    assert (event.agent, event.session) == ("mine", "run-7")


def test_the_provider_is_counted_once_with_the_sdk_attached_too(
    server: ReplayServer, running: Meter
) -> None:
    instrument("openai")
    recorded = recording(RESPONSE)
    server.on("/responses", recorded.answer())
    answer(researcher(responses(server)).run(PROMPT))
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")
    assert event.agent == "researcher"


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


def test_a_client_without_an_agent_is_metered(server: ReplayServer, running: Meter) -> None:
    from agent_framework import Message

    recorded = recording(PLAIN)
    server.on("/chat/completions", recorded.answer())
    answer(chat(server).get_response([Message("user", [PROMPT])]))
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


@pytest.mark.shows("block")
@pytest.mark.parametrize("subject", [{"agent": "researcher"}, {"model": "gpt-4o"}])
def test_a_blocked_call_reaches_the_host_and_not_the_provider(
    server: ReplayServer, running: Meter, subject: dict[str, str]
) -> None:
    instrument("openai")
    running.block(**subject)
    with pytest.raises(meter.CallBlocked):
        answer(researcher(chat(server)).run(PROMPT))
    with pytest.raises(meter.CallBlocked):
        answer(read(researcher(chat(server)), PROMPT))
    assert server.requests == []
    assert running.events() == []


async def read(agent: Framework, prompt: str) -> list[Framework]:
    return [update async for update in agent.run(prompt, stream=True)]


async def read_on(stream: Framework, begun: asyncio.Event) -> None:
    async for _ in stream:
        begun.set()


@pytest.mark.shows("stream")
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(
    ("client", "path", "name"),
    [(chat, "/chat/completions", STREAM), (responses, "/responses", RESPONSE_STREAM)],
)
def test_a_stream_is_counted_at_its_end(
    server: ReplayServer, running: Meter, client: Framework, path: str, name: str, both: bool
) -> None:
    if both:
        instrument("openai")
    recorded = recording(name)
    server.on(path, recorded.answer())
    updates = asyncio.run(read(researcher(client(server)), PROMPT))
    assert updates
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")
    assert event.agent == "researcher"


@pytest.mark.shows("abort")
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("way", ["close", "drop", "cancel"])
def test_a_stream_that_its_host_lets_go_of_is_counted_once(
    server: ReplayServer, running: Meter, way: str, both: bool
) -> None:
    if both:
        instrument("openai")
    server.on("/chat/completions", recording(STREAM).answer(hold_after=3))

    async def begin() -> None:
        stream = researcher(chat(server)).run(PROMPT, stream=True)
        begun = asyncio.Event()
        if way == "cancel":
            reading = asyncio.create_task(read_on(stream, begun))
            await begun.wait()
            reading.cancel()
            await asyncio.wait([reading])
            return
        async for _ in stream:
            break
        if way == "close":
            await stream.close()
        del stream
        gc.collect()

    asyncio.run(begin())
    gc.collect()
    event, *more = running.events()
    # Dropped, both tell of it, the SDK's adapter later: by the response's id it is one.
    assert {(each.source, each.id) for each in more} <= {("openai", event.id)}
    assert len(more) == (both and way == "drop")
    assert (event.status, event.usage_missing) == ("aborted", True)
    assert event.model == "gpt-4-0613"


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


@pytest.mark.shows("error")
def test_an_error_of_the_provider_is_one_event(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", Answer(status=400, body=b'{"error": {"message": "no"}}'))
    with pytest.raises(Exception, match="no") as raised:
        answer(researcher(chat(server)).run(PROMPT))
    assert isinstance(raised.value.__cause__, openai.BadRequestError)
    (event,) = running.events()
    assert (event.status, event.provider, event.model) == ("error", "openai", "gpt-4o")


@pytest.mark.shows("retry")
def test_a_retry_inside_the_client_is_one_call(server: ReplayServer, running: Meter) -> None:
    recorded = recording(PLAIN)
    busy = Answer(status=429, body=b'{"error": {}}', headers={"retry-after-ms": "1"})
    server.on("/chat/completions", busy, recorded.answer())
    answer(researcher(chat(server, retries=1)).run(PROMPT))
    assert len(server.requests) == 2
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


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


@pytest.mark.shows("concurrent")
def test_sessions_that_run_at_a_time_do_not_mix(server: ReplayServer, running: Meter) -> None:
    recorded = recording(PLAIN)
    server.on("/chat/completions", *(recorded.with_id(each).answer() for each in range(40)))

    async def run(number: int) -> None:
        agent = Agent(chat(server), name=f"agent-{number}")
        session = AgentSession(session_id=f"talk-{number}")
        for _ in range(number):
            await agent.run(PROMPT, session=session)

    async def all_runs() -> None:
        await asyncio.gather(*(run(number) for number in range(1, 6)))

    asyncio.run(all_runs())
    told = [(event.agent, event.session) for event in running.events()]
    assert sorted(told) == sorted(
        (f"agent-{number}", f"talk-{number}") for number in range(1, 6) for _ in range(number)
    )


def test_taken_off_nothing_is_metered(server: ReplayServer, running: Meter) -> None:
    uninstrument()
    server.on("/chat/completions", recording(PLAIN).answer())
    answer(researcher(chat(server)).run(PROMPT))
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
