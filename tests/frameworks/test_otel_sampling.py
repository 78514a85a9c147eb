"""What sampling does to spend, what can be seen of it, and the sampler that loses none."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_ON,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import NonRecordingSpan as Remote
from opentelemetry.trace import SpanContext, TraceFlags, set_span_in_context

from inference_spans import AGENT, ANSWERED, CHAT, Traced, chat
from tollway.producers.otel import SpendSampler
from tollway.producers.testing import Meter

UNSAMPLED = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(TraceFlags.DEFAULT))


def test_a_dropped_span_is_spend_that_nobody_sees(running: Meter) -> None:
    traced = Traced(sampler=ALWAYS_OFF)
    chat(traced.tracer)

    assert running.events() == []
    assert traced.spans.stats() == {}


@pytest.mark.parametrize(
    "root", [ALWAYS_OFF, TraceIdRatioBased(0.0), ParentBased(TraceIdRatioBased(0.0))]
)
def test_around_any_sampler_ours_loses_no_spend_and_exports_no_more(
    running: Meter, root: Sampler
) -> None:
    traced = Traced(sampler=SpendSampler(root))
    exported = InMemorySpanExporter()
    traced.provider.add_span_processor(SimpleSpanProcessor(exported))
    start = traced.tracer.start_as_current_span
    with start("GET /"), start("invoke_agent", attributes=AGENT):
        chat(traced.tracer)

    (event,) = running.events()
    assert (event.agent, event.provider, event.input_tokens) == ("researcher", "openai", 46)
    assert traced.spans.stats() == {"metered": 1, "unsampled": 1}
    assert exported.get_finished_spans() == ()


def test_what_is_no_spend_stays_dropped() -> None:
    traced = Traced(sampler=SpendSampler(ALWAYS_OFF))

    assert not traced.tracer.start_span("GET /", attributes={"url.path": "/"}).is_recording()
    assert traced.tracer.start_span("chat gpt-4o").is_recording()
    assert traced.tracer.start_span("any", attributes={"gen_ai.system": "x"}).is_recording()
    assert traced.tracer.start_span("any", attributes={"llm.request.type": "x"}).is_recording()


def test_what_is_sampled_is_sampled_as_before() -> None:
    traced = Traced(sampler=SpendSampler(ALWAYS_ON))
    span = traced.tracer.start_span("GET /", attributes={"url.path": "/"})

    assert span.is_recording()
    assert span.get_span_context().trace_flags.sampled


def test_a_caller_who_did_not_sample_costs_no_spend_with_ours(running: Meter) -> None:
    around = set_span_in_context(Remote(UNSAMPLED))
    for sampler in (DEFAULT_ON, SpendSampler(DEFAULT_ON)):
        traced = Traced(sampler=sampler)
        traced.tracer.start_span("chat", around, attributes={**CHAT, **ANSWERED}).end()

    assert len(running.events()) == 1


@pytest.mark.parametrize(
    "sampler",
    [TraceIdRatioBased(1.0), ParentBased(TraceIdRatioBased(1.0)), ParentBased(ALWAYS_OFF)],
)
def test_a_sampler_that_may_drop_spend_is_told_of_once(
    running: Meter, sampler: Sampler, caplog: pytest.LogCaptureFixture
) -> None:
    traced = Traced(sampler=sampler)
    sampled = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    around = set_span_in_context(Remote(sampled))
    for _ in range(3):
        traced.tracer.start_span("GET /", around).end()

    told = [text for text in caplog.messages if "may drop spans" in text]
    assert len(told) == 1
    assert "put SpendSampler of tollway.producers.otel around it" in told[0]
    assert traced.spans.stats() == {"sampler_may_drop": 1}


@pytest.mark.parametrize(
    "sampler", [ALWAYS_ON, DEFAULT_ON, SpendSampler(TraceIdRatioBased(0.5)), None]
)
def test_a_sampler_that_drops_nothing_begun_here_is_not_complained_of(
    running: Meter, sampler: Sampler | None, caplog: pytest.LogCaptureFixture
) -> None:
    traced = Traced(sampler=sampler)
    chat(traced.tracer)

    assert [text for text in caplog.messages if "may drop spans" in text] == []


def test_spans_of_another_sdk_have_no_sampler_to_complain_of() -> None:
    span = TracerProvider(shutdown_on_exit=False).get_tracer("any").start_span("any")
    del span._sampler  # type: ignore[attr-defined]  # as a later SDK may do

    traced = Traced()
    traced.spans.on_start(span)  # type: ignore[arg-type]  # the SDK's own span

    assert traced.spans.stats() == {}
