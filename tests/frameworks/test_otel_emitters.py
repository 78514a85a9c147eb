"""Instrumentations as people install them, on the providers' SDKs against recorded responses."""

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from openinference.instrumentation.anthropic import AnthropicInstrumentor as InferenceAnthropic
from openinference.instrumentation.openai import OpenAIInstrumentor as InferenceOpenAI
from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor as LlmetryAnthropic
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor as GenaiOpenAI
from opentelemetry.instrumentation.openai import OpenAIInstrumentor as LlmetryOpenAI

from answering import Answer, ReplayServer
from canary import PROMPT
from inference_spans import Traced
from metered_once import assert_usage, expected_pico
from recordings import Recording, recording
from tollway import meter
from tollway.contract.money import format_usd
from tollway.producers.adapters import instrument
from tollway.producers.testing import Meter

CACHED = "chat_completions__cached__gpt-4o__43c40"
REASONING = "chat_completions__reasoning__gpt-5-mini__7d4d1"
STREAM = "chat_completions__stream__gpt-4__6d197"
EMBEDDING = "openai/embeddings__plain__text-embedding-ada-002__34f12.json"
CLAUDE_CACHED = "messages__cached__claude-sonnet-4-5__6a4a8"
CLAUDE_WRITE = "messages__cachewrite__claude-3-7-sonnet__b7387"
CLAUDE_STREAM = "messages__stream_cachewrite__claude-3-5-sonnet__06870"
# An instrumentation, of which these tests know `instrument` and `uninstrument`.
Emitter = Any


def _module(emitter: type[Emitter] | str) -> str:
    return emitter.__module__ if isinstance(emitter, type) else emitter


@pytest.fixture
def traced() -> Traced:
    return Traced()


def _on(emitter: type[Emitter], traced: Traced) -> Iterator[None]:
    before = {kind: dict(vars(kind)) for kind in _classes("openai", "anthropic")}
    one = emitter()
    # Its own check of versions would skip in silence.
    one.instrument(tracer_provider=traced.provider, raise_exception_on_conflict=True)
    yield
    one.uninstrument()
    # Not all of them take off all that they put on.
    for kind, held in before.items():
        for name, value in held.items():
            if vars(kind).get(name) is not value:
                setattr(kind, name, value)


def _classes(*packages: str) -> set[type]:
    return {
        kind
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in packages
        for kind in vars(module).values()
        if isinstance(kind, type) and kind.__module__.partition(".")[0] in packages
    }


@pytest.fixture(params=[GenaiOpenAI, LlmetryOpenAI, InferenceOpenAI], ids=_module)
def on_openai(request: pytest.FixtureRequest, traced: Traced) -> Iterator[None]:
    yield from _on(request.param, traced)


def _chat(server: ReplayServer, recorded: Recording) -> None:
    server.on(recorded.path, recorded.answer())
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
    messages: Any = [{"role": "user", "content": PROMPT}]
    model = recorded.model or ""
    if not recorded.events:
        client.chat.completions.create(model=model, messages=messages)
        return
    asked = {"include_usage": True}
    chunks = client.chat.completions.create(
        model=model, messages=messages, stream=True, stream_options=asked
    )
    assert list(chunks)


def _message(client: anthropic.Anthropic, server: ReplayServer, recorded: Recording) -> None:
    server.on("/messages", recorded.answer())
    messages: Any = [{"role": "user", "content": PROMPT}]
    model = recorded.model or ""
    if recorded.events:
        chunks = client.messages.create(model=model, max_tokens=9, messages=messages, stream=True)
        assert list(chunks)
    else:
        client.messages.create(model=model, max_tokens=9, messages=messages)


def _claude(server: ReplayServer, **more: Any) -> anthropic.Anthropic:  # noqa: ANN401 (the SDK's)
    return anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0, **more)


@pytest.mark.parametrize("name", [CACHED, REASONING, STREAM])
@pytest.mark.usefixtures("on_openai")
def test_each_instrumentation_of_openai_tells_what_was_used(
    server: ReplayServer, running: Meter, name: str
) -> None:
    recorded = recording(name)
    _chat(server, recorded)

    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


@pytest.mark.usefixtures("on_openai")
def test_an_embedding_is_told_by_each_instrumentation(server: ReplayServer, running: Meter) -> None:
    recorded = recording(EMBEDDING)
    server.on("/embeddings", recorded.answer())
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
    client.embeddings.create(model=recorded.model or "", input=PROMPT)

    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


@pytest.mark.usefixtures("on_openai")
def test_a_refused_request_is_an_error(server: ReplayServer, running: Meter) -> None:
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
    messages: Any = [{"role": "user", "content": PROMPT}]
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-4o", messages=messages)

    assert [(event.status, event.usage_missing) for event in running.events()] == [("error", True)]


@pytest.mark.parametrize("name", [CACHED, STREAM])
@pytest.mark.usefixtures("on_openai")
def test_with_our_adapter_attached_too_a_call_is_billed_once(
    server: ReplayServer, running: Meter, name: str
) -> None:
    instrument("openai")
    recorded = recording(name)
    with meter.session("1.00") as session:
        _chat(server, recorded)
        spent = format(session.spent, "f")

    assert spent == format_usd(expected_pico(recorded, provider="openai"))
    assert session.report()["breakdown"]["llm"]["calls"] == 1


@pytest.mark.usefixtures("on_openai")
def test_a_call_that_our_adapter_refused_is_no_spend_of_its_span(
    server: ReplayServer, running: Meter
) -> None:
    instrument("openai")
    running.block(model="gpt-4o")
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
    messages: Any = [{"role": "user", "content": PROMPT}]
    with pytest.raises(meter.CallBlocked):
        client.chat.completions.create(model="gpt-4o", messages=messages)

    assert server.requests == []
    assert running.events() == []


@pytest.mark.usefixtures("on_openai")
def test_concurrent_streams_in_one_task_group_are_each_billed_once(
    server: ReplayServer, running: Meter
) -> None:
    instrument("openai")
    recorded = recording(STREAM)
    server.on("/chat/completions", *(recorded.with_id(n).answer() for n in range(8)))

    async def ask() -> None:
        client = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
        messages: Any = [{"role": "user", "content": PROMPT}]
        chunks = await client.chat.completions.create(
            model="gpt-4", messages=messages, stream=True, stream_options={"include_usage": True}
        )
        assert [chunk async for chunk in chunks]

    async def ask_all() -> None:
        await asyncio.gather(*(ask() for _ in range(8)))

    with meter.session("1.00") as session:
        asyncio.run(ask_all())

    assert session.report()["breakdown"]["llm"]["calls"] == 8


@pytest.mark.parametrize("name", [CLAUDE_CACHED, CLAUDE_WRITE, CLAUDE_STREAM])
def test_anthropics_sdk_tells_by_itself(
    server: ReplayServer, running: Meter, traced: Traced, name: str
) -> None:
    recorded = recording(name)
    client = _claude(server, open_telemetry={"tracer_provider": traced.provider})
    _message(client, server, recorded)

    (event,) = running.events()
    assert_usage(event, recorded, provider="anthropic")
    assert event.source == "anthropic"


@pytest.mark.parametrize(
    ("emitter", "name"),
    [
        (LlmetryAnthropic, CLAUDE_CACHED),
        (InferenceAnthropic, CLAUDE_CACHED),
        (InferenceAnthropic, CLAUDE_STREAM),
    ],
    ids=_module,
)
def test_each_instrumentation_of_anthropic_tells_what_was_used(
    server: ReplayServer, running: Meter, traced: Traced, emitter: type[Emitter], name: str
) -> None:
    recorded = recording(name)
    for _ in _on(emitter, traced):
        _message(_claude(server, open_telemetry=False), server, recorded)

    (event,) = running.events()
    assert_usage(event, recorded, provider="anthropic")


def test_openllmetry_adds_a_streams_placeholder_to_its_output(
    server: ReplayServer, running: Meter, traced: Traced
) -> None:
    # The stream's totals replace what its beginning said: 201. Nobody can see that from a span.
    recorded = recording(CLAUDE_STREAM)
    for _ in _on(LlmetryAnthropic, traced):
        _message(_claude(server, open_telemetry=False), server, recorded)

    (event,) = running.events()
    assert (event.input_tokens, event.cache_write_tokens) == (1169, 1165)
    assert (recorded.expected.output, event.output_tokens) == (201, 202)


@pytest.mark.parametrize("emitter", [LlmetryAnthropic, InferenceAnthropic], ids=_module)
def test_anthropics_sdk_an_instrumentation_and_our_adapter_bill_a_call_once(
    server: ReplayServer, running: Meter, traced: Traced, emitter: type[Emitter]
) -> None:
    instrument("anthropic")
    recorded = recording(CLAUDE_CACHED)
    with meter.session("1.00") as session:
        for _ in _on(emitter, traced):
            client = _claude(server, open_telemetry={"tracer_provider": traced.provider})
            _message(client, server, recorded)
        spent = format(session.spent, "f")

    assert spent == format_usd(expected_pico(recorded, provider="anthropic"))
    assert session.report()["breakdown"]["llm"]["calls"] == 1


def test_a_call_that_is_retried_inside_the_sdk_is_one_call(
    server: ReplayServer, running: Meter, traced: Traced
) -> None:
    recorded = recording(CLAUDE_CACHED)
    busy = Answer(status=529, body=b"{}", headers={"retry-after-ms": "1"})
    server.on("/messages", busy, recorded.answer())
    client = anthropic.Anthropic(
        base_url=server.url,
        api_key="none",
        max_retries=1,
        open_telemetry={"tracer_provider": traced.provider},
    )
    messages: Any = [{"role": "user", "content": PROMPT}]
    client.messages.create(model=recorded.model or "", max_tokens=9, messages=messages)

    assert len(server.requests) == 2
    (event,) = running.events()
    assert_usage(event, recorded, provider="anthropic")
