"""Metering of Anthropic's SDK: streams, against a replayed provider."""

import asyncio
import gc
from typing import Any

import anthropic
import pytest

from answering import Answer, ReplayServer
from asking_anthropic import LACKS, MESSAGES, ask, async_client_of, client_of
from metered_once import assert_usage
from recordings import recording
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("anthropic", lacks=LACKS)

STREAM = "anthropic/messages__stream_tools__claude-haiku-4-5__70a1e"


@pytest.mark.shows("async", "stream")
def test_asynchronous_streams_are_counted_at_their_end(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(STREAM)
    server.on("/v1/messages", recorded.answer(), recorded.with_id(2).answer())
    client = async_client_of(server)

    async def read() -> None:
        created = await client.messages.create(
            model="claude-haiku-4-5", max_tokens=100, messages=MESSAGES, stream=True
        )
        assert [event async for event in created]
        helper = client.messages.stream(model="claude-haiku-4-5", max_tokens=100, messages=MESSAGES)
        async with helper as stream:
            message = await stream.get_final_message()
        assert message.usage.output_tokens == 40

    asyncio.run(read())
    for event in running.events():
        assert_usage(event, recorded, provider="anthropic")
        assert event.tool_calls == 1
    assert len(running.events()) == 2


def test_streams_are_counted_once_by_whatever_helper(server: ReplayServer, running: Meter) -> None:
    recorded = recording(STREAM)
    server.on("/v1/messages", *[recorded.with_id(number).answer() for number in range(4)])
    client = client_of(server)
    options: Any = {"model": "claude-haiku-4-5", "max_tokens": 100, "messages": MESSAGES}
    assert list(client.messages.create(**options, stream=True))
    for messages in (client.messages, client.beta.messages):
        with messages.stream(**options) as stream:
            assert list(stream)
    raw = client.messages.with_raw_response.create(**options, stream=True)
    assert list(raw.parse())
    assert len(running.events()) == 4
    for event in running.events():
        assert_usage(event, recorded, provider="anthropic")


@pytest.mark.shows("abort")
@pytest.mark.parametrize("way", ["close", "helper", "drop", "unread"])
def test_a_stream_that_its_host_lets_go_of_is_counted_once(
    server: ReplayServer, running: Meter, way: str
) -> None:
    server.on("/v1/messages", recording(STREAM).answer(hold_after=4))
    if way == "helper":
        helper = client_of(server).messages.stream(
            model="claude-haiku-4-5", max_tokens=100, messages=MESSAGES
        )
        with helper as events:
            next(iter(events))
    else:
        stream = ask(client_of(server), stream=True)
        if way != "unread":
            next(stream)
        if way == "close":
            stream.close()
        del stream
    gc.collect()
    (event,) = running.events()
    assert (event.status, event.usage_missing) == ("aborted", True)
    # The first event of a stream says what was read.
    assert event.input_tokens == (0 if way == "unread" else 543)


def test_a_cancelled_task_has_aborted_its_stream(server: ReplayServer, running: Meter) -> None:
    server.on("/v1/messages", recording(STREAM).answer(hold_after=4))

    async def cancelled() -> None:
        stream = await async_client_of(server).messages.create(
            model="claude-haiku-4-5", max_tokens=100, messages=MESSAGES, stream=True
        )
        begun = asyncio.Event()

        async def read() -> None:
            async for _ in stream:
                begun.set()

        task = asyncio.create_task(read())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    (event,) = running.events()
    assert (event.status, event.usage_missing, event.input_tokens) == ("aborted", True, 543)


def test_an_error_in_the_middle_of_a_stream_keeps_what_was_known(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(STREAM)
    # Edited: an error event of the API's reference after the first events.
    said = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n'
    answer = Answer(content_type="text/event-stream", events=(*recorded.events[:4], said))
    server.on("/v1/messages", answer)
    with pytest.raises(anthropic.APIStatusError):
        list(ask(client_of(server), stream=True))
    (event,) = running.events()
    assert event.status == "error"
    assert event.input_tokens == 543


def test_a_connection_that_breaks_is_an_error_with_what_was_known(
    server: ReplayServer, running: Meter
) -> None:
    server.on("/v1/messages", recording(STREAM).answer(break_after=4))
    with pytest.raises(Exception, match="peer closed connection"):
        list(ask(client_of(server), stream=True))
    (event,) = running.events()
    assert (event.status, event.usage_missing, event.input_tokens) == ("error", True, 543)
