"""Pydantic AI against recorded responses: attached, and by its capability alone.

Not with Anthropic's SDK: this version of the framework does not work with the one that is pinned.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydantic_ai import Agent, ModelHTTPError, ModelRetry, RunContext
from pydantic_ai.models import Model
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider

from answering import Answer, ReplayServer
from canary import CANARY, PROMPT
from metered_once import assert_usage
from recordings import Recording, recording
from tollway import meter
from tollway.contract.usage import UsageEvent
from tollway.producers.adapters import instrument, uninstrument
from tollway.producers.adapters.pydantic_ai import capability
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("pydantic_ai")

MODEL = "gpt-4o-mini"
CHAT = "chat_completions__plain__gpt-4o-mini__de705"
CHAT_TOOL = "chat_completions__tools__gpt-4o__73a2c"
CHAT_STREAM = "chat_completions__stream__gpt-4__6d197"
RESPONSE = "responses__plain__gpt-4o-mini__5ad30"
RESPONSE_STREAM = "responses__stream__gpt-4o__d03a3"
GEMINI = "generate_content__plain__gemini-2.0-flash__ae9a7"
GEMINI_STREAM = "stream_generate_content__stream__gemini-2.0-flash__6a6a5"


def openai_provider(server: ReplayServer, retries: int = 0) -> OpenAIProvider:
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=retries)
    return OpenAIProvider(openai_client=client)


def chat(server: ReplayServer) -> Model:
    return OpenAIChatModel(MODEL, provider=openai_provider(server))


def responses(server: ReplayServer) -> Model:
    return OpenAIResponsesModel(MODEL, provider=openai_provider(server))


def gemini(server: ReplayServer) -> Model:
    provider = GoogleProvider(api_key="none", base_url=server.url)
    return GoogleModel("gemini-2.0-flash", provider=provider)


def researcher(model: Model, **more: Any) -> Agent:  # noqa: ANN401 (the framework's)
    return Agent(model, name="researcher", **more)


def llm(running: Meter) -> list[UsageEvent]:
    return [event for event in running.events() if event.kind == "llm"]


def used_tools(running: Meter) -> list[UsageEvent]:
    return [event for event in running.events() if event.kind == "tool"]


WHOLE = [
    (chat, CHAT, "openai"),
    (responses, RESPONSE, "openai"),
    (gemini, GEMINI, "google"),
]
STREAMS = [
    (chat, CHAT_STREAM, "openai"),
    (responses, RESPONSE_STREAM, "openai"),
    (gemini, GEMINI_STREAM, "google"),
]
SDKS = ("openai", "google_genai")
Make = Callable[[ReplayServer], Model]


@pytest.mark.shows("meter", "agent name", "async")
@pytest.mark.parametrize("also", [(), SDKS])
@pytest.mark.parametrize(("make", "name", "provider"), WHOLE)
def test_a_run_is_one_event_of_its_agent(
    make: Make,
    name: str,
    provider: str,
    also: tuple[str, ...],
    server: ReplayServer,
    running: Meter,
) -> None:
    instrument("pydantic_ai", *also)
    recorded = recording(name)
    server.on(recorded.path, recorded.answer())

    result = asyncio.run(researcher(make(server)).run(PROMPT))

    [event] = running.events()
    assert_usage(event, recorded, provider=provider)
    assert (event.agent, event.session) == ("researcher", result.run_id)
    assert event.tags is not None
    assert event.tags["framework"] in {"pydantic_ai", *also}
    assert event.source == provider


def test_run_sync_is_metered(server: ReplayServer, running: Meter) -> None:
    recorded = recording(CHAT)
    server.on(recorded.path, recorded.answer())

    researcher(chat(server)).run_sync(PROMPT)

    [event] = running.events()
    assert_usage(event, recorded, provider="openai")


@pytest.mark.shows("stream")
@pytest.mark.parametrize("also", [(), SDKS])
@pytest.mark.parametrize(("make", "name", "provider"), STREAMS)
def test_a_streamed_run_is_counted_at_its_end(
    make: Make,
    name: str,
    provider: str,
    also: tuple[str, ...],
    server: ReplayServer,
    running: Meter,
) -> None:
    instrument("pydantic_ai", *also)
    recorded = recording(name)
    server.on(recorded.path, recorded.answer())

    async def run() -> str:
        async with researcher(make(server)).run_stream(PROMPT) as stream:
            return "".join([text async for text in stream.stream_text(delta=True)])

    assert asyncio.run(run())

    [event] = running.events()
    assert_usage(event, recorded, provider=provider)
    assert event.agent == "researcher"


@pytest.mark.parametrize("also", [(), ("openai",)])
def test_events_of_a_run_may_be_read_one_by_one(
    also: tuple[str, ...], server: ReplayServer, running: Meter
) -> None:
    instrument("pydantic_ai", *also)
    recorded = recording(CHAT_STREAM)
    server.on(recorded.path, recorded.answer())

    async def run() -> int:
        async with researcher(chat(server)).run_stream_events(PROMPT) as events:
            return len([event async for event in events])

    assert asyncio.run(run()) > 3

    [event] = running.events()
    assert_usage(event, recorded, provider="openai")


@pytest.mark.shows("abort")
@pytest.mark.parametrize("also", [(), ("google_genai",)])
@pytest.mark.parametrize("how", ["break", "raise"])
def test_a_stream_that_is_let_go_of_is_counted_once_as_a_lower_bound(
    how: str, also: tuple[str, ...], server: ReplayServer, running: Meter
) -> None:
    instrument("pydantic_ai", *also)
    recorded = recording(GEMINI_STREAM)
    server.on(recorded.path, recorded.answer(hold_after=1))

    async def let_go() -> None:
        async with researcher(gemini(server)).run_stream(PROMPT) as stream:
            async for _ in stream.stream_text(delta=True, debounce_by=None):
                if how == "raise":
                    raise KeyError
                break

    if how == "raise":
        with pytest.raises(KeyError):
            asyncio.run(let_go())
    else:
        asyncio.run(let_go())

    # The SDK's own stream is closed when the loop finds it dropped: a second event with the same id
    # is no second call.
    assert len({(event.source, event.id) for event in running.events()}) == 1
    event = running.events()[0]
    assert len(running.events()) <= 1 + len(also)
    assert (event.status, event.usage_missing) == ("aborted", True)
    # What Gemini says with the first chunk, and corrects with the last.
    assert event.input_tokens == 169
    assert event.agent == "researcher"


@pytest.mark.shows("block")
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("subject", [{"agent": "researcher"}, {"model": MODEL}])
def test_a_blocked_run_asks_for_nothing(
    subject: dict[str, str], streamed: bool, server: ReplayServer, running: Meter
) -> None:
    running.block(**subject)

    async def run() -> None:
        agent = researcher(chat(server))
        if streamed:
            async with agent.run_stream(PROMPT):
                pass
        else:
            await agent.run(PROMPT)

    with pytest.raises(meter.CallBlocked):
        asyncio.run(run())

    assert server.requests == []
    assert running.events() == []


def with_tool(server: ReplayServer) -> tuple[Recording, Recording]:
    """The model asks for the weather of Paris, then answers."""
    asks = recording(CHAT_TOOL).edited(
        lambda body: body["choices"][0]["message"]["tool_calls"][0]["function"].update(
            name="get_weather", arguments='{"location":"Paris"}'
        )
    )
    answers = recording(CHAT)
    server.on(asks.path, asks.answer(), answers.answer())
    return asks, answers


class Weather:
    """A tool, and whether it ran."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.ran: list[str] = []
        self._failure = failure

    async def get_weather(self, location: str) -> str:
        self.ran.append(location)
        if self._failure is not None:
            raise self._failure
        return f"{CANARY}: rain in {location}"


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


@pytest.mark.shows("error")
@pytest.mark.parametrize("also", [(), ("openai",)])
def test_a_model_that_failed_is_an_event_that_says_so(
    also: tuple[str, ...], server: ReplayServer, running: Meter
) -> None:
    instrument("pydantic_ai", *also)
    server.on("/chat/completions", Answer(status=400, body=b'{"error": {"message": "bad"}}'))

    with pytest.raises(ModelHTTPError):
        asyncio.run(researcher(chat(server)).run(PROMPT))

    [event] = running.events()
    # What a provider refuses it does not bill.
    assert (event.status, event.usage_missing, event.agent) == ("error", False, "researcher")
    assert event.model == MODEL


@pytest.mark.shows("retry")
@pytest.mark.parametrize("also", [(), ("openai",)])
def test_a_retry_inside_the_client_is_one_call(
    also: tuple[str, ...], server: ReplayServer, running: Meter
) -> None:
    instrument("pydantic_ai", *also)
    recorded = recording(CHAT)
    busy = Answer(status=500, body=b"{}", headers={"retry-after-ms": "1"})
    server.on(recorded.path, busy, recorded.answer())
    model = OpenAIChatModel(MODEL, provider=openai_provider(server, retries=1))

    asyncio.run(researcher(model).run(PROMPT))

    assert len(server.requests) == 2
    [event] = running.events()
    assert_usage(event, recorded, provider="openai")


def test_a_fallback_is_billed_by_the_model_that_answered(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(RESPONSE)
    server.on("/chat/completions", Answer(status=500, body=b"{}"))
    server.on(recorded.path, recorded.answer())

    asyncio.run(researcher(FallbackModel(chat(server), responses(server))).run(PROMPT))

    [event] = running.events()
    assert_usage(event, recorded, provider="openai")


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


def test_equal_prompts_have_equal_hashes_and_others_have_others(
    server: ReplayServer, running: Meter
) -> None:
    server.on("/chat/completions", *(recording(CHAT).with_id(n).answer() for n in range(3)))

    async def run() -> None:
        for prompt in (PROMPT, PROMPT, f"{PROMPT} again"):
            await researcher(chat(server)).run(prompt)

    asyncio.run(run())

    first, second, third = running.events()
    assert first.prompt_hash == second.prompt_hash != third.prompt_hash


def test_what_the_host_attributes_wins(server: ReplayServer, running: Meter) -> None:
    recorded = recording(CHAT)
    server.on(recorded.path, recorded.answer())

    async def run() -> None:
        with meter.attribute(agent="mine", customer="acme"):
            await researcher(chat(server)).run(PROMPT)

    asyncio.run(run())

    [event] = running.events()
    assert (event.agent, event.customer) == ("mine", "acme")


@pytest.mark.shows("concurrent")
@pytest.mark.parametrize("also", [(), ("openai",)])
def test_sessions_that_run_at_a_time_do_not_mix(
    also: tuple[str, ...], server: ReplayServer, running: Meter
) -> None:
    instrument("pydantic_ai", *also)
    recorded = recording(CHAT)
    server.on(recorded.path, *(recorded.with_id(n).answer() for n in range(40)))

    async def run(name: str, calls: int) -> object:
        async with meter.session(session=f"session-{name}", agent=name) as session:
            for number in range(calls):
                # Another one each time: the same prompt thrice would be a loop.
                await Agent(chat(server), name=name).run(f"{PROMPT} {'x' * number}")
            return session.report()["breakdown"]["llm"]["calls"]

    async def all_at_once() -> list[object]:
        return await asyncio.gather(*(run(f"agent-{n}", n) for n in range(1, 6)))

    assert asyncio.run(all_at_once()) == [1, 2, 3, 4, 5]

    calls = [(event.agent, event.session) for event in llm(running)]
    assert {pair: calls.count(pair) for pair in calls} == {
        (f"agent-{n}", f"session-agent-{n}"): n for n in range(1, 6)
    }


def test_another_model_that_is_asked_while_a_stream_is_read_is_a_call_of_its_own(
    server: ReplayServer, running: Meter
) -> None:
    instrument("openai")
    outer, inner = recording(CHAT_STREAM), recording(RESPONSE)
    server.on(outer.path, outer.answer())
    server.on(inner.path, inner.answer())

    async def run() -> None:
        async with researcher(chat(server)).run_stream(PROMPT) as stream:
            pieces = stream.stream_text(delta=True, debounce_by=None)
            await anext(pieces)
            await Agent(responses(server), name="writer").run(PROMPT)
            assert [piece async for piece in pieces]

    asyncio.run(run())

    writer, reader = running.events()
    assert_usage(writer, inner, provider="openai")
    assert_usage(reader, outer, provider="openai")
    assert (writer.agent, reader.agent) == ("writer", "researcher")


# The capability alone.


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


def test_a_model_without_streams_says_what_it_said_before() -> None:
    from pydantic_ai.exceptions import UserError
    from pydantic_ai.messages import ModelResponse, TextPart

    class Plain(FunctionModel):  # type: ignore[misc]  # no types here
        request_stream = Model.request_stream

    model = Plain(lambda messages, info: ModelResponse(parts=[TextPart("hello")]))

    async def run() -> None:
        async with Agent(model).run_stream(PROMPT) as stream:
            await stream.get_output()

    with pytest.raises(UserError, match="does not support streamed requests"):
        asyncio.run(run())
