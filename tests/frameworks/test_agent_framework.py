"""Microsoft Agent Framework against recorded responses: attached, and by its middleware alone."""

import asyncio
import gc
from collections.abc import AsyncGenerator

import openai
import pytest
from agent_framework import (
    Agent,
    AgentSession,
    BaseChatClient,
    ChatMiddlewareLayer,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    Message,
    ResponseStream,
)

from answering import Answer, ReplayServer
from canary import PROMPT
from framework_agents import (
    PLAIN,
    RESPONSE,
    RESPONSE_STREAM,
    STREAM,
    Framework,
    answer,
    chat,
    read,
    read_on,
    researcher,
    responses,
)
from metered_once import assert_usage
from recordings import recording
from tollway import meter
from tollway.producers.adapters import instrument, uninstrument
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("agent_framework")


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


def test_a_client_without_an_agent_is_metered(server: ReplayServer, running: Meter) -> None:
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
    (event,) = running.events()
    assert (event.status, event.usage_missing) == ("aborted", True)
    assert event.model == "gpt-4-0613"


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


class Own(ChatMiddlewareLayer, BaseChatClient):  # type: ignore[misc]  # it has no types here
    """A client of the host's own: it hands on no response of the provider's."""

    OTEL_PROVIDER_NAME = "anthropic"
    # As the framework's client for Anthropic tells them: input without what caches read and wrote.
    PARTS = (
        {"input_token_count": 10, "output_token_count": 1, "cache_read_input_token_count": 100},
        {"output_token_count": 4, "anthropic.cache_read_input_tokens": 0},
    )

    def _inner_get_response(self, *, stream: bool, **_: object) -> Framework:
        return ResponseStream(self._parts()) if stream else self._whole()

    async def _whole(self) -> Framework:
        counts = {**self.PARTS[0], **self.PARTS[1], "output_token_count": 5}
        return ChatResponse(response_id="msg_1", model="claude-sonnet-4-5", usage_details=counts)

    async def _parts(self) -> AsyncGenerator[Framework, None]:
        for counts in self.PARTS:
            told = [Content.from_usage(counts)]
            yield ChatResponseUpdate(contents=told, response_id="msg_1", model="claude-sonnet-4-5")


@pytest.mark.parametrize("streamed", [False, True])
def test_what_a_client_tells_is_inclusive_whatever_its_provider_calls_input(
    running: Meter, streamed: bool
) -> None:
    async def run() -> None:
        asked = Own().get_response([Message("user", [PROMPT])], stream=streamed)
        if streamed:
            assert [update async for update in asked]
        else:
            await asked

    asyncio.run(run())
    (event,) = running.events()
    assert (event.id, event.provider, event.model) == ("msg_1", "anthropic", "claude-sonnet-4-5")
    assert (event.input_tokens, event.output_tokens, event.cache_read_tokens) == (110, 5, 100)
