"""Metering of OpenAI's SDK: chat completions and responses, against a replayed provider."""

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from answering import Answer, ReplayServer
from canary import PROMPT
from metered_once import assert_usage, expected_pico
from recordings import recording
from tollway import meter
from tollway.producers.adapters import openai as adapter
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework(
    "openai", lacks={"agent name": "a provider's SDK knows of no agents; `meter.session` names one"}
)

# What the SDK takes and gives; it has no types where these tests are checked.
Options = Any
Answered = Any
MESSAGES: Any = [{"role": "user", "content": PROMPT}]
TOOLS_CALLED = "chat_completions__tools__gpt-4o__73a2c"
STREAM = "chat_completions__stream__gpt-4__6d197"
RESPONSE = "openai/responses__reasoning_tools__gpt-5-mini__23c41"
RESPONSE_STREAM = "openai/responses__stream__gpt-4o-mini__c0ec6"


def client_of(server: ReplayServer, **more: Options) -> OpenAI:
    return OpenAI(api_key="test", base_url=f"{server.url}/v1", **{"max_retries": 0, **more})


def async_client_of(server: ReplayServer) -> AsyncOpenAI:
    return AsyncOpenAI(api_key="test", base_url=f"{server.url}/v1", max_retries=0)


def ask(client: OpenAI, **more: Options) -> Answered:
    return client.chat.completions.create(model="gpt-4o", messages=MESSAGES, **more)


@pytest.mark.shows("meter", "tool")
def test_a_chat_completion_is_one_event_with_its_usage_and_price(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(TOOLS_CALLED)
    server.on("/chat/completions", recorded.answer())
    completion = ask(client_of(server))
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")
    assert (event.id, event.source) == (completion.id, "openai")
    assert event.requested_model == "gpt-4o"
    assert event.tool_calls == 1
    assert event.tags == {"framework": "openai"}
    assert event.prompt_hash is not None
    assert event.attempt == 0


@pytest.mark.shows("block")
def test_a_blocked_call_never_reaches_the_provider(server: ReplayServer, running: Meter) -> None:
    running.block(model="gpt-4o")
    with pytest.raises(meter.CallBlocked):
        ask(client_of(server))
    with pytest.raises(meter.CallBlocked):
        ask(client_of(server), stream=True)
    with pytest.raises(meter.CallBlocked):
        asyncio.run(async_client_of(server).responses.create(model="gpt-4o", input=PROMPT))
    assert server.requests == []
    assert running.events() == []


@pytest.mark.shows("async")
def test_an_asynchronous_call_is_metered_as_well(server: ReplayServer, running: Meter) -> None:
    recorded = recording(RESPONSE)
    server.on("/responses", recorded.answer())
    asyncio.run(async_client_of(server).responses.create(model="gpt-5-mini", input=PROMPT))
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")
    assert event.tool_calls == 1


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


@pytest.mark.shows("retry")
@pytest.mark.parametrize("status", [429, 500])
def test_a_retry_inside_the_sdk_is_one_call(
    server: ReplayServer, running: Meter, status: int
) -> None:
    recorded = recording(TOOLS_CALLED)
    busy = Answer(status=status, body=b'{"error": {}}', headers={"retry-after-ms": "1"})
    server.on("/chat/completions", busy, busy, recorded.answer())
    ask(client_of(server, max_retries=2))
    assert len(server.requests) == 3
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")
    assert event.attempt == 2


@pytest.mark.shows("error")
def test_an_error_of_the_provider_is_an_event_that_used_nothing(
    server: ReplayServer, running: Meter
) -> None:
    server.on("/chat/completions", Answer(status=400, body=b'{"error": {"message": "no"}}'))
    with pytest.raises(openai.BadRequestError):
        ask(client_of(server))
    (event,) = running.events()
    assert (event.status, event.usage_missing, event.input_tokens) == ("error", False, 0)
    assert (event.provider, event.model) == ("openai", "gpt-4o")


def test_an_answer_that_the_sdk_cannot_read_may_have_cost_something(
    server: ReplayServer, running: Meter
) -> None:
    server.on("/chat/completions", Answer(body=b'{"id": 7, "choices": "none"}'))
    with pytest.raises(openai.APIResponseValidationError):
        ask(client_of(server, _strict_response_validation=True))
    (event,) = running.events()
    assert (event.status, event.usage_missing) == ("error", True)


def test_a_provider_that_is_not_there_may_have_used_something(
    server: ReplayServer, running: Meter
) -> None:
    client = OpenAI(api_key="test", base_url="http://127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(openai.APIConnectionError):
        ask(client)
    (event,) = running.events()
    assert (event.status, event.usage_missing) == ("error", True)


@pytest.mark.shows("concurrent")
def test_sessions_that_run_at_a_time_do_not_mix(server: ReplayServer, running: Meter) -> None:
    recorded = recording(TOOLS_CALLED)
    replies = [recorded.with_id(number).answer() for number in range(40)]
    server.on("/chat/completions", *replies)
    price = expected_pico(recorded, provider="openai")

    async def run(number: int) -> int:
        client = async_client_of(server)
        async with meter.session(agent=f"agent-{number}", session=f"run-{number}") as session:
            for step in range(number):
                asked: Any = [{"role": "user", "content": f"{PROMPT} {step}"}]
                await client.chat.completions.create(model="gpt-4o", messages=asked)
        return int(session.spent.scaleb(12))

    async def all_runs() -> list[int]:
        return await asyncio.gather(*(run(number) for number in range(1, 9)))

    assert asyncio.run(all_runs()) == [number * price for number in range(1, 9)]
    told = [(event.session, event.agent) for event in running.events() if event.kind == "llm"]
    assert sorted(told) == sorted(
        (f"run-{number}", f"agent-{number}") for number in range(1, 9) for _ in range(number)
    )


class Greeting(BaseModel):
    text: str


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


def test_a_parsed_completion_counts_once(server: ReplayServer, running: Meter) -> None:
    # Edited: a recorded answer whose text is the JSON that was asked for.
    recorded = recording("openai/chat_completions__cached__gpt-4.1__61450").edited(
        lambda body: body["choices"][0]["message"].update(content='{"text": "hello"}')
    )
    server.on("/chat/completions", recorded.answer())
    parsed = client_of(server).chat.completions.parse(
        model="gpt-4.1", messages=MESSAGES, response_format=Greeting
    )
    assert parsed.choices[0].message.parsed == Greeting(text="hello")
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


def test_a_raw_response_is_counted_from_its_body(server: ReplayServer, running: Meter) -> None:
    recorded = recording(TOOLS_CALLED)
    server.on("/chat/completions", recorded.answer())
    raw = client_of(server).chat.completions.with_raw_response.create(
        model="gpt-4o", messages=MESSAGES
    )
    assert raw.parse().usage.prompt_tokens == 46
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


def test_a_response_worked_on_in_the_background_is_counted_when_it_is_done(
    server: ReplayServer, running: Meter
) -> None:
    done = recording(RESPONSE)
    # Edited: as it is while the work goes on.
    begun = done.edited(lambda body: body.update(status="queued", usage=None, output=[]))
    server.on("/responses", begun.answer())
    client = client_of(server)
    queued = client.responses.create(model="gpt-5-mini", input=PROMPT, background=True)
    server.on(f"/responses/{queued.id}", begun.answer(), done.answer())
    client.responses.retrieve(queued.id)
    assert running.events() == []
    for _ in range(3):
        client.responses.retrieve(queued.id)
    (event,) = running.events()
    assert_usage(event, done, provider="openai")
    assert event.prompt_hash is not None


@pytest.mark.our_fault
def test_a_fault_of_ours_is_not_the_hosts(
    server: ReplayServer, running: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(adapter._OpenAI, "asked", fail)
    server.on("/chat/completions", recording(TOOLS_CALLED).answer())
    assert ask(client_of(server)).usage.prompt_tokens == 46
    assert running.events() == []
