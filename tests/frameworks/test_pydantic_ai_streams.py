"""Pydantic AI attached, against recorded responses: streams."""

import asyncio
from collections.abc import Callable

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import FunctionModel

from answering import ReplayServer
from canary import PROMPT
from metered_once import assert_usage
from pydantic_agents import (
    CHAT_STREAM,
    GEMINI_STREAM,
    RESPONSE,
    RESPONSE_STREAM,
    chat,
    gemini,
    researcher,
    responses,
)
from recordings import recording
from tollway.producers.adapters import instrument, uninstrument
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("pydantic_ai")

STREAMS = [
    (chat, CHAT_STREAM, "openai"),
    (responses, RESPONSE_STREAM, "openai"),
    (gemini, GEMINI_STREAM, "google"),
]
SDKS = ("openai", "google_genai")
Make = Callable[[ReplayServer], Model]


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


def test_a_model_without_streams_fails_as_it_does_without_us() -> None:
    class Plain(FunctionModel):  # type: ignore[misc]  # no types here
        request_stream = Model.request_stream

    model = Plain(lambda messages, info: ModelResponse(parts=[TextPart("hello")]))

    async def run() -> None:
        async with Agent(model).run_stream(PROMPT) as stream:
            await stream.get_output()

    with pytest.raises(Exception, match="support") as attached:
        asyncio.run(run())
    uninstrument()
    with pytest.raises(Exception, match="support") as plain:
        asyncio.run(run())

    assert (type(attached.value), str(attached.value)) == (type(plain.value), str(plain.value))
