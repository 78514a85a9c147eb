"""Frameworks that make spans themselves, each with its provider's recorded responses."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace import SpanProcessor as SdkProcessor

from answering import ReplayServer
from canary import PROMPT
from inference_spans import Traced
from metered_once import assert_usage
from recordings import recording
from tollway.producers.adapters import instrument
from tollway.producers.testing import Meter

PLAIN = "openai/chat_completions__plain__gpt-4o-mini__de705"
CACHED = "chat_completions__cached__gpt-4o__43c40"
# It calls the tool get_image, without arguments.
CALLS_TOOL = "chat_completions__tools__gpt-4o__73a2c"
# The frameworks have no types where these tests are checked.
Framework = Any
WAIT_S = 10.0


@pytest.fixture
def traced() -> Traced:
    return Traced()


def _openai(server: ReplayServer) -> Framework:
    from openai import AsyncOpenAI

    return AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


def _pydantic_agent(server: ReplayServer, traced: Traced) -> Framework:
    from pydantic_ai import Agent
    from pydantic_ai.capabilities import Instrumentation
    from pydantic_ai.models.instrumented import InstrumentationSettings
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(openai_client=_openai(server))
    settings = InstrumentationSettings(tracer_provider=traced.provider)
    model = OpenAIChatModel("gpt-4o", provider=provider)
    return Agent(model, name="researcher", capabilities=[Instrumentation(settings=settings)])


def test_pydantic_ais_requests_are_its_agents(
    server: ReplayServer, running: Meter, traced: Traced
) -> None:
    recorded = recording(CACHED)
    server.on("/chat/completions", recorded.answer())
    _pydantic_agent(server, traced).run_sync(PROMPT, conversation_id="talk-1")

    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")
    assert (event.agent, event.session, event.source) == ("researcher", "talk-1", "openai")
    assert traced.spans.stats() == {"metered": 1}


def test_pydantic_ais_tools_are_tools_and_sums_of_the_run_are_not_counted(
    server: ReplayServer, running: Meter, traced: Traced
) -> None:
    first, last = recording(CALLS_TOOL), recording(PLAIN)
    server.on("/chat/completions", first.answer(), last.answer())
    agent = _pydantic_agent(server, traced)

    @agent.tool_plain  # type: ignore[untyped-decorator]  # the framework has no types here
    def get_image() -> str:
        return "an image"

    agent.run_sync(PROMPT)

    asked, tool, answered = running.events()
    assert_usage(asked, first, provider="openai")
    assert_usage(answered, last, provider="openai")
    assert (tool.kind, tool.tool, tool.agent) == ("tool", "get_image", "researcher")
    assert asked.session == tool.session == answered.session


def test_pydantic_ai_and_our_adapters_bill_a_call_once(
    server: ReplayServer, running: Meter, traced: Traced
) -> None:
    instrument("pydantic_ai", "openai")
    first, last = recording(CALLS_TOOL), recording(PLAIN)
    server.on("/chat/completions", first.answer(), last.answer())
    agent = _pydantic_agent(server, traced)

    @agent.tool_plain  # type: ignore[untyped-decorator]  # the framework has no types here
    def get_image() -> str:
        return "an image"

    agent.run_sync(PROMPT)

    assert [event.kind for event in running.events()] == ["llm", "tool", "llm"]


@pytest.fixture
def maf(monkeypatch: pytest.MonkeyPatch, traced: Traced) -> None:
    """Microsoft's framework asks the process's one provider, which other tests share."""
    from agent_framework import observability

    observability.enable_instrumentation(force=True)
    tracer = traced.provider.get_tracer("agent_framework")
    monkeypatch.setattr(observability, "get_tracer", lambda *_, **__: tracer)


@pytest.mark.usefixtures("maf")
def test_microsofts_agents_are_known_by_name_and_their_runs_by_the_trace(
    server: ReplayServer, running: Meter, traced: Traced
) -> None:
    from agent_framework import Agent, AgentSession
    from agent_framework.openai import OpenAIChatCompletionClient

    recorded = recording(CACHED)
    server.on("/chat/completions", recorded.answer())
    client = OpenAIChatCompletionClient(model="gpt-4o", async_client=_openai(server))

    async def ask() -> None:
        agent = Agent(client, name="researcher")
        await agent.run(PROMPT, session=AgentSession(session_id="talk-1"))

    asyncio.run(ask())

    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")
    assert (event.agent, event.source) == ("researcher", "openai")
    # It tells a conversation that a service keeps, and no session of its own.
    assert event.session is not None
    assert len(event.session) == 32
    assert traced.spans.stats() == {"metered": 1}


class _Ended(SdkProcessor):
    """Waits for a span of this name to have ended, and so to have been metered."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._ended = threading.Semaphore(0)

    def on_end(self, span: ReadableSpan) -> None:
        if span.name == self._name:
            self._ended.release()

    def wait(self) -> None:
        assert self._ended.acquire(timeout=WAIT_S), f"no span {self._name} within {WAIT_S} s"


@pytest.fixture
def litellm_ended(traced: Traced) -> Iterator[_Ended]:
    import litellm
    from litellm.integrations.opentelemetry import OpenTelemetry, OpenTelemetryConfig
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    ended = _Ended("litellm_request")
    traced.provider.add_span_processor(ended)
    config = OpenTelemetryConfig(exporter=InMemorySpanExporter(), skip_set_global=True)
    before, litellm.callbacks = (
        litellm.callbacks,
        [OpenTelemetry(config=config, tracer_provider=traced.provider)],
    )
    yield ended
    litellm.callbacks = before


def _by_litellm(server: ReplayServer, name: str) -> None:
    import litellm

    server.on("/chat/completions", recording(name).answer())
    litellm.completion(
        model="openai/gpt-4o",
        messages=[{"role": "user", "content": PROMPT}],
        api_base=f"{server.url}/v1",
        api_key="none",
    )


def test_litellm_tells_of_a_call_after_it_and_no_cached_tokens_unless_asked_to(
    server: ReplayServer, running: Meter, litellm_ended: _Ended
) -> None:
    for name in (PLAIN, CACHED):
        _by_litellm(server, name)
        litellm_ended.wait()

    plain, cached = running.events()
    assert_usage(plain, recording(PLAIN), provider="openai")
    assert plain.tags is not None
    assert plain.tags["scope"] == "litellm"
    assert (cached.input_tokens, cached.output_tokens) == (2091, 634)
    assert (recording(CACHED).expected.cached, cached.cache_read_tokens) == (1408, 0)
