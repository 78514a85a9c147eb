"""Metering of OpenAI's SDK: streams, and whatever else its host reads by itself."""

import asyncio
import copy
import gc
import pickle
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import OpenAI

from answering import Answer, ReplayServer
from asking_openai import LACKS, MESSAGES, ask, async_client_of, client_of
from canary import PROMPT
from metered_once import assert_usage
from recordings import recording
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("openai", lacks=LACKS)

TOOLS_CALLED = "chat_completions__tools__gpt-4o__73a2c"
STREAM = "chat_completions__stream__gpt-4__6d197"
RESPONSE_STREAM = "openai/responses__stream__gpt-4o-mini__c0ec6"


@pytest.mark.shows("stream")
def test_a_stream_says_its_usage_to_us_and_not_to_a_host_that_did_not_ask(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(STREAM)
    server.on("/chat/completions", recorded.answer())
    chunks = list(ask(client_of(server), stream=True))
    assert server.requests[0].json()["stream_options"] == {"include_usage": True}
    assert [chunk.usage for chunk in chunks if chunk.usage] == []
    assert [chunk for chunk in chunks if not chunk.choices] == []
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


def test_a_host_that_asks_for_the_usage_of_a_stream_gets_it(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(STREAM)
    server.on("/chat/completions", recorded.answer())
    chunks = list(ask(client_of(server), stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].usage.prompt_tokens == 12
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_that_refuses_to_be_asked_for_usage_is_asked_again_without_once(
    server: ReplayServer, running: Meter, status: int
) -> None:
    refusal = Answer(status=status, body=b'{"error": {"message": "unknown: stream_options"}}')
    plain = recording("openai/chat_completions__stream_nousage__gpt-4o-mini__81b0c")
    server.on("/chat/completions", refusal, plain.answer(), plain.with_id(2).answer())
    client = client_of(server)
    for _ in range(2):
        assert list(ask(client, stream=True))
    asked = ["stream_options" in seen.json() for seen in server.requests]
    assert asked == [True, False, False]
    assert [(event.status, event.usage_missing) for event in running.events()] == [
        ("ok", True),
        ("ok", True),
    ]


def test_an_asynchronous_stream_is_counted_at_its_end(server: ReplayServer, running: Meter) -> None:
    recorded = recording(STREAM)
    server.on("/chat/completions", recorded.answer())

    async def read() -> int:
        stream = await async_client_of(server).chat.completions.create(
            model="gpt-4", messages=MESSAGES, stream=True
        )
        return len([chunk async for chunk in stream])

    assert asyncio.run(read()) > 0
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


@pytest.mark.shows("abort")
@pytest.mark.parametrize("way", ["close", "with", "drop", "unread"])
def test_a_stream_that_its_host_lets_go_of_is_counted_once(
    server: ReplayServer, running: Meter, way: str
) -> None:
    server.on("/chat/completions", recording(STREAM).answer(hold_after=3))
    stream = ask(client_of(server), stream=True)
    if way != "unread":
        next(stream)
    if way == "close":
        stream.close()
    if way == "with":
        stream.__exit__(None, None, None)
    del stream
    gc.collect()
    (event,) = running.events()
    assert (event.status, event.usage_missing) == ("aborted", True)
    assert event.model in {"gpt-4-0613", "gpt-4o"}


def test_a_cancelled_task_has_aborted_its_stream(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", recording(STREAM).answer(hold_after=3))

    async def cancelled() -> None:
        stream = await async_client_of(server).chat.completions.create(
            model="gpt-4", messages=MESSAGES, stream=True
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
    assert (event.status, event.usage_missing) == ("aborted", True)


def test_a_connection_that_breaks_is_an_error_with_what_was_known(
    server: ReplayServer, running: Meter
) -> None:
    server.on("/responses", recording(RESPONSE_STREAM).answer(break_after=3))
    stream = client_of(server).responses.create(model="gpt-4o-mini", input=PROMPT, stream=True)
    # The wire's own error in openai 2, `APIConnectionError` in openai 3.
    with pytest.raises(Exception, match=r"peer closed connection|Connection error"):
        list(stream)
    (event,) = running.events()
    assert (event.status, event.usage_missing) == ("error", True)
    assert event.id.startswith("resp_")


def _reads(client: OpenAI) -> Iterator[Any]:
    """The helpers that read streams for their host."""
    with client.chat.completions.stream(model="gpt-4", messages=MESSAGES) as events:
        yield [event for event in events if event.type == "chunk"]
        yield events.get_final_completion()


def test_the_streaming_helper_of_chat_completions_counts_once(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(STREAM)
    server.on("/chat/completions", recorded.answer())
    chunks, completion = _reads(client_of(server))
    assert chunks
    assert completion.choices[0].message.content
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


def test_the_streaming_helper_of_responses_counts_once(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(RESPONSE_STREAM)
    server.on("/responses", recorded.answer())
    with client_of(server).responses.stream(model="gpt-4o-mini", input=PROMPT) as events:
        events.until_done()
        assert events.get_final_response().usage.input_tokens == 22
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


def test_a_raw_stream_is_counted_and_hides_what_we_asked_for(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(STREAM)
    server.on("/chat/completions", recorded.answer())
    raw = client_of(server).chat.completions.with_raw_response.create(
        model="gpt-4", messages=MESSAGES, stream=True
    )
    assert [chunk for chunk in raw.parse() if chunk.usage] == []
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_that_is_read_by_its_host_is_counted_while_it_reads(
    server: ReplayServer, running: Meter, *, stream: bool
) -> None:
    recorded = recording(STREAM if stream else TOOLS_CALLED)
    server.on("/chat/completions", recorded.answer())
    create: Any = client_of(server).chat.completions.with_streaming_response.create
    with create(model="gpt-4", messages=MESSAGES, stream=stream) as response:
        lines = list(response.iter_lines())
    assert lines
    assert not any('"prompt_tokens": 12' in line for line in lines)
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


def test_what_is_read_as_it_came_is_counted_and_hides_what_we_asked_for(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(STREAM)
    server.on("/chat/completions", recorded.answer())
    create: Any = client_of(server).chat.completions.with_streaming_response.create
    with create(model="gpt-4", messages=MESSAGES, stream=True) as response:
        body = b"".join(response.http_response.iter_raw())
    assert body == b"".join(recorded.events[:-2] + recorded.events[-1:])
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


def test_an_awaited_body_that_is_read_as_it_came_is_counted(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(STREAM)
    server.on("/chat/completions", recorded.answer())

    async def read() -> bytes:
        create: Any = async_client_of(server).chat.completions.with_streaming_response.create
        async with create(model="gpt-4", messages=MESSAGES, stream=True) as response:
            return b"".join([block async for block in response.http_response.aiter_raw()])

    assert asyncio.run(read()) == b"".join(recorded.events[:-2] + recorded.events[-1:])
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


def test_a_copy_of_a_response_is_a_plain_one_and_no_second_call(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(TOOLS_CALLED)
    server.on("/chat/completions", recorded.answer())
    create: Any = client_of(server).chat.completions.with_streaming_response.create
    with create(model="gpt-4", messages=MESSAGES) as response:
        http: Any = response.http_response
        begun = copy.deepcopy(http)
        http.read()
    copies = [begun, copy.copy(http), pickle.loads(pickle.dumps(http))]
    assert {type(each) for each in copies} == {httpx.Response}
    assert copies[2].json() == http.json()
    del begun, copies
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")
