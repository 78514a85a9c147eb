"""Metering of Anthropic's SDK, against a replayed provider."""

import asyncio
import json
from typing import Any

import anthropic
import pytest
from anthropic import AnthropicBedrock, AnthropicVertex

from answering import Answer, ReplayServer
from asking_anthropic import LACKS, MESSAGES, ask, async_client_of, client_of
from canary import PROMPT
from metered_once import assert_usage, expected_pico
from recordings import recording
from tollway import meter
from tollway.producers.adapters import anthropic as adapter
from tollway.producers.adapters import uninstrument
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("anthropic", lacks=LACKS)

TOOLS_CALLED = "anthropic/messages__tools__claude-sonnet-4-5__a75f3"
CACHED = "anthropic/messages__cachewrite__claude-3-7-sonnet__b7387"


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
        # The results do not hold their client, and a client that is collected closes them.
        client = async_client_of(server)
        results = await client.messages.batches.results("msgbatch_1")
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
