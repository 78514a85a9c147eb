"""Metering of Anthropic's SDK, against a replayed provider."""

import asyncio
import gc
import json
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AnthropicBedrock, AnthropicVertex, AsyncAnthropic

from answering import Answer, ReplayServer
from canary import PROMPT
from metered_once import assert_usage, expected_pico
from recordings import recording
from tollway import meter
from tollway.producers.adapters import anthropic as adapter
from tollway.producers.adapters import uninstrument
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework(
    "anthropic",
    lacks={"agent name": "a provider's SDK knows of no agents; `meter.session` names one"},
)

# What the SDK takes and gives; it has no types where these tests are checked.
Options = Any
Answered = Any
MESSAGES: Any = [{"role": "user", "content": PROMPT}]
TOOLS_CALLED = "anthropic/messages__tools__claude-sonnet-4-5__a75f3"
CACHED = "anthropic/messages__cachewrite__claude-3-7-sonnet__b7387"
STREAM = "anthropic/messages__stream_tools__claude-haiku-4-5__70a1e"


def client_of(server: ReplayServer, **more: Options) -> Anthropic:
    return Anthropic(api_key="test", base_url=server.url, **{"max_retries": 0, **more})


def async_client_of(server: ReplayServer) -> AsyncAnthropic:
    return AsyncAnthropic(api_key="test", base_url=server.url, max_retries=0)


def ask(client: Anthropic, **more: Options) -> Answered:
    return client.messages.create(
        model="claude-sonnet-4-5", max_tokens=100, messages=MESSAGES, **more
    )


@pytest.mark.shows("meter", "tool")
def test_a_message_is_one_event_with_its_usage_and_price(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(TOOLS_CALLED)
    server.on("/v1/messages", recorded.answer())
    message = ask(client_of(server))
    (event,) = running.events()
    assert_usage(event, recorded, provider="anthropic")
    assert (event.id, event.source) == (message.id, "anthropic")
    assert event.requested_model == "claude-sonnet-4-5"
    assert event.tool_calls == 1
    assert event.tags == {"framework": "anthropic"}
    assert event.prompt_hash is not None


def test_what_was_written_to_a_cache_is_a_part_of_the_input(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(CACHED)
    server.on("/v1/messages", recorded.answer())
    ask(client_of(server))
    (event,) = running.events()
    assert (event.input_tokens, event.cache_write_tokens) == (1754, 1733)
    assert_usage(event, recorded, provider="anthropic")


@pytest.mark.shows("block")
def test_a_blocked_call_never_reaches_the_provider(server: ReplayServer, running: Meter) -> None:
    running.block(provider="anthropic")
    with pytest.raises(meter.CallBlocked):
        ask(client_of(server))
    stream = client_of(server).messages.stream(
        model="claude-sonnet-4-5", max_tokens=100, messages=MESSAGES
    )
    with pytest.raises(meter.CallBlocked), stream:
        pass
    with pytest.raises(meter.CallBlocked):
        asyncio.run(
            async_client_of(server).messages.create(
                model="claude-sonnet-4-5", max_tokens=100, messages=MESSAGES
            )
        )
    assert server.requests == []
    assert running.events() == []


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


@pytest.mark.shows("retry")
def test_a_retry_inside_the_sdk_is_one_call(server: ReplayServer, running: Meter) -> None:
    recorded = recording(TOOLS_CALLED)
    busy = Answer(status=529, body=b'{"type": "error"}', headers={"retry-after-ms": "1"})
    server.on("/v1/messages", busy, busy, recorded.answer())
    ask(client_of(server, max_retries=2))
    assert len(server.requests) == 3
    (event,) = running.events()
    assert_usage(event, recorded, provider="anthropic")
    assert event.attempt == 2


@pytest.mark.shows("error")
def test_an_error_of_the_provider_is_an_event_that_used_nothing(
    server: ReplayServer, running: Meter
) -> None:
    server.on("/v1/messages", Answer(status=400, body=b'{"type": "error", "error": {}}'))
    with pytest.raises(anthropic.BadRequestError):
        ask(client_of(server))
    (event,) = running.events()
    assert (event.status, event.usage_missing, event.input_tokens) == ("error", False, 0)
    assert (event.provider, event.model) == ("anthropic", "claude-sonnet-4-5")


@pytest.mark.shows("concurrent")
def test_sessions_that_run_at_a_time_do_not_mix(server: ReplayServer, running: Meter) -> None:
    recorded = recording(TOOLS_CALLED)
    server.on("/v1/messages", *[recorded.with_id(number).answer() for number in range(40)])
    price = expected_pico(recorded, provider="anthropic")

    async def run(number: int) -> int:
        client = async_client_of(server)
        async with meter.session(agent=f"agent-{number}", session=f"run-{number}") as session:
            for step in range(number):
                asked: Any = [{"role": "user", "content": f"{PROMPT} {step}"}]
                await client.messages.create(
                    model="claude-sonnet-4-5", max_tokens=100, messages=asked
                )
        return int(session.spent.scaleb(12))

    async def all_runs() -> list[int]:
        return await asyncio.gather(*(run(number) for number in range(1, 7)))

    assert asyncio.run(all_runs()) == [number * price for number in range(1, 7)]
    told = [event.agent for event in running.events() if event.kind == "llm"]
    assert sorted(told) == sorted(f"agent-{n}" for n in range(1, 7) for _ in range(n))


def test_beta_messages_are_metered(server: ReplayServer, running: Meter) -> None:
    recorded = recording(TOOLS_CALLED)
    server.on("/v1/messages", recorded.answer())
    client_of(server).beta.messages.create(
        model="claude-sonnet-4-5", max_tokens=100, messages=MESSAGES
    )
    (event,) = running.events()
    assert_usage(event, recorded, provider="anthropic")


def test_counting_tokens_is_not_metered(server: ReplayServer, running: Meter) -> None:
    server.on("/v1/messages/count_tokens", Answer(body=b'{"input_tokens": 12}'))
    counted = client_of(server).messages.count_tokens(model="claude-sonnet-4-5", messages=MESSAGES)
    assert counted.input_tokens == 12
    assert running.events() == []


def _results(server: ReplayServer, of: str = "") -> Answer:
    """As the API's reference has them: recorded messages, and requests that came to nothing."""
    lines = []
    for number in range(3):
        message = json.loads(recording(TOOLS_CALLED).with_id(f"{of}{number}").body)
        lines.append({"type": "succeeded", "message": message})
    lines += [{"type": "expired"}, {"type": "errored", "error": {"type": "error"}}]
    text = "".join(
        json.dumps({"custom_id": f"request-{number}", "result": line}) + "\n"
        for number, line in enumerate(lines)
    )
    ended = {
        "id": "msgbatch_1",
        "type": "message_batch",
        "processing_status": "ended",
        "results_url": f"{server.url}/v1/messages/batches/msgbatch_1/results",
    }
    server.on("/v1/messages/batches/msgbatch_1", Answer(body=json.dumps(ended).encode()))
    # Without a new line at the end: the last line counts as well.
    return Answer(content_type="application/x-jsonl", body=text.strip().encode())


def test_each_result_of_a_batch_is_one_event_however_often_it_is_fetched(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(TOOLS_CALLED)
    server.on("/v1/messages/batches/msgbatch_1/results", _results(server))
    for _ in range(2):
        assert len(list(client_of(server).messages.batches.results("msgbatch_1"))) == 5
    assert len(running.events()) == 3
    for event in running.events():
        assert (event.input_tokens, event.output_tokens) == (
            recorded.expected.input,
            recorded.expected.output,
        )
        assert event.provider == "anthropic"


def test_results_of_a_batch_are_counted_as_well_where_they_are_awaited(
    server: ReplayServer, running: Meter
) -> None:
    server.on("/v1/messages/batches/msgbatch_1/results", _results(server, of="awaited"))

    async def read() -> int:
        results = await async_client_of(server).messages.batches.results("msgbatch_1")
        return len([result async for result in results])

    assert asyncio.run(read()) == 5
    assert len(running.events()) == 3


def test_bedrock_is_asked_at_amazons_price(server: ReplayServer, running: Meter) -> None:
    pytest.importorskip("botocore")
    whole = recording("aws_bedrock/invoke__cached_cachewrite__claude-haiku-4-5__fde28")
    streamed = recording("aws_bedrock/invoke_stream__stream_tools__claude-3-5-sonnet__f34ad")
    server.on("/invoke", whole.answer())
    server.on("/invoke-with-response-stream", streamed.answer())
    client = AnthropicBedrock(
        aws_access_key="test", aws_secret_key="test", aws_region="us-east-1", base_url=server.url
    )
    options: Any = {"max_tokens": 100, "messages": MESSAGES}
    client.messages.create(model="anthropic.claude-haiku-4-5-20251001-v1:0", **options)
    stream = client.messages.create(
        model="anthropic.claude-3-5-sonnet-20240620-v1:0", **options, stream=True
    )
    assert list(stream)
    first, second = running.events()
    assert_usage(first, whole, provider="aws")
    assert_usage(second, streamed, provider="aws")


def test_vertex_is_asked_at_googles_price(server: ReplayServer, running: Meter) -> None:
    recorded = recording(TOOLS_CALLED)
    server.on(":rawPredict", recorded.answer())
    client = AnthropicVertex(
        access_token="test", project_id="mine", region="us-east5", base_url=server.url
    )
    client.messages.create(model="claude-sonnet-4-5", max_tokens=100, messages=MESSAGES)
    (event,) = running.events()
    assert_usage(event, recorded, provider="google")


def test_a_wrapped_client_is_metered_alone(server: ReplayServer, running: Meter) -> None:
    recorded = recording(TOOLS_CALLED)
    server.on("/v1/messages", *[recorded.with_id(number).answer() for number in range(9)])
    other, client = client_of(server), adapter.wrap(client_of(server))
    ask(client)
    # Wrapped and instrumented: once.
    assert len(running.events()) == 1
    uninstrument("anthropic")
    ask(other)
    assert len(running.events()) == 1
    ask(client)
    ask(client.with_options(timeout=5))
    assert len(running.events()) == 3
    assert_usage(running.events()[-1], recorded, provider="anthropic")
