"""Metering of Google's Gen AI SDK, against a replayed provider."""

import asyncio
import gc
import json
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from answering import Answer, ReplayServer
from canary import PROMPT
from metered_once import assert_usage, expected_pico
from recordings import recording
from tollway import meter
from tollway.producers.adapters import google_genai as adapter
from tollway.producers.adapters import uninstrument
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework(
    "google_genai",
    lacks={"agent name": "a provider's SDK knows of no agents; `meter.session` names one"},
)

# What the SDK takes and gives; it has no types where these tests are checked.
Options = Any
Client = Any
TOOLS_CALLED = "google_gemini/generate_content__reasoning_tools__gemini-2.5-flash__7b929"
PLAIN = "google_gemini/generate_content__reasoning__gemini-3.6-flash__fd26e"
STREAM = "google_gemini/stream_generate_content__stream_reasoning_tools__gemini-3.5-flash__4e3a2"


# The SDK closes a client that is dropped while its models are in use.
HELD: list[Client] = []


def client_of(server: ReplayServer, *, vertexai: bool = False, **more: Options) -> Client:
    options = types.HttpOptions(base_url=server.url, **more)
    HELD.append(genai.Client(vertexai=vertexai, api_key="test", http_options=options))
    return HELD[-1]


@pytest.mark.shows("meter", "tool")
def test_generated_content_is_one_event_with_its_usage_and_price(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(TOOLS_CALLED)
    server.on(":generateContent", recorded.answer())
    response = client_of(server).models.generate_content(model="gemini-2.5-flash", contents=PROMPT)
    (event,) = running.events()
    assert_usage(event, recorded, provider="google")
    assert (event.id, event.source) == (response.response_id, "google")
    assert event.tool_calls == 1
    assert event.requested_model == "gemini-2.5-flash"
    assert event.tags == {"framework": "google_genai"}
    assert event.prompt_hash is not None


async def _read(models: Client) -> None:
    stream = await models.generate_content_stream(model="gemini-2.5-flash", contents=PROMPT)
    assert [chunk async for chunk in stream]


@pytest.mark.shows("block")
def test_a_blocked_call_never_reaches_the_provider(server: ReplayServer, running: Meter) -> None:
    running.block(model="gemini-2.5-flash")
    models = client_of(server).models
    with pytest.raises(meter.CallBlocked):
        models.generate_content(model="gemini-2.5-flash", contents=PROMPT)
    with pytest.raises(meter.CallBlocked):
        list(models.generate_content_stream(model="gemini-2.5-flash", contents=PROMPT))

    async def ask() -> None:
        models = client_of(server).aio.models
        with pytest.raises(meter.CallBlocked):
            await models.generate_content(model="gemini-2.5-flash", contents=PROMPT)
        with pytest.raises(meter.CallBlocked):
            await _read(models)

    asyncio.run(ask())
    assert server.requests == []
    assert running.events() == []


@pytest.mark.shows("stream")
def test_a_stream_is_counted_at_its_end(server: ReplayServer, running: Meter) -> None:
    recorded = recording(STREAM)
    server.on(":streamGenerateContent", recorded.answer())
    stream = client_of(server).models.generate_content_stream(
        model="gemini-3.5-flash", contents=PROMPT
    )
    assert list(stream)
    (event,) = running.events()
    assert_usage(event, recorded, provider="google")


@pytest.mark.shows("async")
def test_asynchronous_calls_and_streams_are_metered(server: ReplayServer, running: Meter) -> None:
    whole, streamed = recording(PLAIN), recording(STREAM)
    server.on(":generateContent", whole.answer())
    server.on(":streamGenerateContent", streamed.answer())

    async def ask() -> None:
        models = client_of(server).aio.models
        await models.generate_content(model="gemini-3.6-flash", contents=PROMPT)
        stream = await models.generate_content_stream(model="gemini-3.5-flash", contents=PROMPT)
        assert [chunk async for chunk in stream]

    asyncio.run(ask())
    first, second = running.events()
    assert_usage(first, whole, provider="google")
    assert_usage(second, streamed, provider="google")


@pytest.mark.shows("abort")
def test_a_stream_that_its_host_lets_go_of_is_counted_once(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(STREAM)
    # Edited: only the last chunk says the usage, as with some models.
    first = recorded.edited(lambda chunk: chunk.pop("usageMetadata", None))
    server.on(":streamGenerateContent", first.answer(hold_after=1))
    stream = client_of(server).models.generate_content_stream(
        model="gemini-3.5-flash", contents=PROMPT
    )
    next(stream)
    stream.close()
    (event,) = running.events()
    assert (event.status, event.usage_missing) == ("aborted", True)
    assert event.model == "gemini-3.5-flash"


def test_an_asynchronous_stream_that_nobody_reads_is_counted(
    server: ReplayServer, running: Meter
) -> None:
    server.on(":streamGenerateContent", recording(STREAM).answer())

    async def ask() -> None:
        models = client_of(server).aio.models
        stream = await models.generate_content_stream(model="gemini-3.5-flash", contents=PROMPT)
        async for _ in stream:
            break
        await stream.aclose()
        del stream
        gc.collect()

    asyncio.run(ask())
    gc.collect()
    assert len(running.events()) == 1


@pytest.mark.shows("retry")
def test_a_retry_inside_the_sdk_is_one_call(server: ReplayServer, running: Meter) -> None:
    recorded = recording(PLAIN)
    busy = Answer(status=503, body=b'{"error": {"code": 503, "status": "UNAVAILABLE"}}')
    server.on(":generateContent", busy, busy, recorded.answer())
    retrying = types.HttpRetryOptions(attempts=3, initial_delay=0.001, max_delay=0.002, jitter=0)
    client_of(server, retry_options=retrying).models.generate_content(
        model="gemini-3.6-flash", contents=PROMPT
    )
    assert len(server.requests) == 3
    (event,) = running.events()
    assert_usage(event, recorded, provider="google")
    assert event.attempt == 2


@pytest.mark.shows("error")
def test_an_error_of_the_provider_is_an_event_that_used_nothing(
    server: ReplayServer, running: Meter
) -> None:
    refused = recording("google_gemini/generate_content__error429__na__e4542")
    server.on(":generateContent", refused.answer())
    with pytest.raises(errors.ClientError):
        client_of(server).models.generate_content(model="gemini-2.5-flash", contents=PROMPT)
    (event,) = running.events()
    assert (event.status, event.usage_missing, event.input_tokens) == ("error", False, 0)
    assert (event.provider, event.model) == ("google", "gemini-2.5-flash")


@pytest.mark.shows("concurrent")
def test_sessions_that_run_at_a_time_do_not_mix(server: ReplayServer, running: Meter) -> None:
    recorded = recording(PLAIN)
    server.on(":generateContent", *[recorded.with_id(number).answer() for number in range(40)])
    price = expected_pico(recorded, provider="google")

    async def run(number: int, client: Client) -> int:
        async with meter.session(agent=f"agent-{number}", session=f"run-{number}") as session:
            for step in range(number):
                await client.aio.models.generate_content(
                    model="gemini-3.6-flash", contents=f"{PROMPT} {step}"
                )
        return int(session.spent.scaleb(12))

    async def all_runs() -> list[int]:
        client = client_of(server)
        return await asyncio.gather(*(run(number, client) for number in range(1, 6)))

    assert asyncio.run(all_runs()) == [number * price for number in range(1, 6)]
    told = [event.agent for event in running.events() if event.kind == "llm"]
    assert sorted(told) == sorted(f"agent-{n}" for n in range(1, 6) for _ in range(n))


def test_a_chat_is_metered_message_by_message(server: ReplayServer, running: Meter) -> None:
    whole, streamed = recording(PLAIN), recording(STREAM)
    server.on(":generateContent", whole.answer())
    server.on(":streamGenerateContent", streamed.answer())
    chat = client_of(server).chats.create(model="gemini-3.6-flash")
    chat.send_message(PROMPT)
    assert list(chat.send_message_stream("and then?"))
    first, second = running.events()
    assert_usage(first, whole, provider="google")
    assert_usage(second, streamed, provider="google")


def bar() -> str:
    """Does what the model asks for in the recorded response."""
    return "done"


def test_each_request_of_automatic_function_calling_is_an_event(
    server: ReplayServer, running: Meter
) -> None:
    calls = recording("google_gemini/generate_content__tools__gemini-2.0-flash__23f0d")
    ends = recording("google_gemini/generate_content__plain__gemini-2.0-flash__ae9a7")
    server.on(":generateContent", calls.answer(), ends.answer())
    client_of(server).models.generate_content(
        model="gemini-2.0-flash",
        contents=PROMPT,
        config=types.GenerateContentConfig(tools=[bar]),
    )
    first, second = running.events()
    assert_usage(first, calls, provider="google")
    assert_usage(second, ends, provider="google")
    assert (first.tool_calls, second.tool_calls) == (1, 0)


def test_vertex_is_metered(server: ReplayServer, running: Meter) -> None:
    whole = recording("google_vertex/generate_content__reasoning_tools__gemini-3-flash-preview")
    streamed = recording("google_vertex/stream_generate_content__stream_reasoning__gemini-3-flash")
    server.on(":generateContent", whole.answer())
    server.on(":streamGenerateContent", streamed.answer())
    models = client_of(server, vertexai=True).models
    models.generate_content(model="gemini-3-flash-preview", contents=PROMPT)
    assert list(models.generate_content_stream(model="gemini-3-flash-preview", contents=PROMPT))
    first, second = running.events()
    assert_usage(first, whole, provider="google")
    assert_usage(second, streamed, provider="google")


def test_embeddings_say_what_the_api_says(server: ReplayServer, running: Meter) -> None:
    # Not recorded: as in the API's reference, where nothing is said of usage.
    body = {"embeddings": [{"values": [0.1, 0.2]}]}
    server.on(":batchEmbedContents", Answer(body=json.dumps(body).encode()))
    client_of(server).models.embed_content(model="gemini-embedding-001", contents=PROMPT)
    (event,) = running.events()
    assert (event.model, event.usage_missing) == ("gemini-embedding-001", True)


def test_counting_tokens_is_not_metered(server: ReplayServer, running: Meter) -> None:
    server.on(":countTokens", Answer(body=b'{"totalTokens": 9}'))
    counted = client_of(server).models.count_tokens(model="gemini-2.5-flash", contents=PROMPT)
    assert counted.total_tokens == 9
    assert running.events() == []


def test_a_wrapped_client_is_metered_alone(server: ReplayServer, running: Meter) -> None:
    recorded = recording(PLAIN)
    server.on(":generateContent", *[recorded.with_id(number).answer() for number in range(9)])
    other, client = client_of(server), adapter.wrap(adapter.wrap(client_of(server)))

    def ask(client: Client) -> None:
        client.models.generate_content(model="gemini-3.6-flash", contents=PROMPT)

    ask(client)
    # Wrapped and instrumented: once.
    assert len(running.events()) == 1
    uninstrument("google_genai")
    ask(other)
    assert len(running.events()) == 1
    ask(client)
    assert len(running.events()) == 2
    assert_usage(running.events()[-1], recorded, provider="google")
