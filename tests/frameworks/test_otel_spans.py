"""What the span processor makes of one span, with the real SDK and spans as emitters make them."""

import logging

import pytest
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.trace import SpanKind, StatusCode

from canary import CANARY
from inference_spans import AGENT, ANSWERED, CHAT, SCOPE, TOOL, Traced, chat
from tollway import meter
from tollway.producers.otel.spans import MAX_LIVE
from tollway.producers.testing import Meter


@pytest.fixture
def traced() -> Traced:
    return Traced()


def test_an_inference_span_is_one_event(running: Meter, traced: Traced) -> None:
    chat(traced.tracer)

    (event,) = running.events()
    assert (event.kind, event.status, event.usage_missing) == ("llm", "ok", False)
    assert (event.source, event.id) == ("openai", "chatcmpl-1")
    assert (event.provider, event.model) == ("openai", "gpt-4o-2024-08-06")
    assert event.requested_model == "gpt-4o"
    assert (event.input_tokens, event.output_tokens) == (46, 11)
    assert event.tags == {"framework": "opentelemetry", "scope": SCOPE}


def test_an_events_time_and_duration_are_the_spans(running: Meter, traced: Traced) -> None:
    begun_ns = 1_769_860_800_000_000_000
    span = traced.tracer.start_span("chat", attributes=CHAT, start_time=begun_ns)
    span.set_attributes(ANSWERED)
    span.end(begun_ns + 1_500_000_000)

    (event,) = running.events()
    assert (event.time, event.duration_ms) == ("2026-01-31T12:00:01.500Z", 1500)


def test_sums_of_agents_and_workflows_are_not_counted_again(running: Meter, traced: Traced) -> None:
    sums = {"gen_ai.usage.input_tokens": 92, "gen_ai.usage.output_tokens": 22}
    workflow = {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "triage"}
    start = traced.tracer.start_as_current_span
    with (
        start("invoke_workflow", attributes={**workflow, **sums}),
        start("invoke_agent", attributes={**AGENT, **sums}),
    ):
        chat(traced.tracer)
        chat(traced.tracer, gen_ai__response__id="chatcmpl-2")

    assert [event.id for event in running.events()] == ["chatcmpl-1", "chatcmpl-2"]
    assert traced.spans.stats() == {"metered": 2}


def test_a_tools_span_is_a_tools_event(running: Meter, traced: Traced) -> None:
    start = traced.tracer.start_as_current_span
    with (
        start("invoke_agent", attributes=AGENT),
        start("execute_tool", attributes={**TOOL, "gen_ai.tool.call.arguments": CANARY}),
    ):
        pass

    (event,) = running.events()
    assert (event.kind, event.tool, event.agent) == ("tool", "search", "researcher")
    assert (event.status, event.usage_missing, event.args_hash) == ("ok", False, None)


def test_a_call_that_failed_is_an_error_whose_usage_nobody_knows(
    running: Meter, traced: Traced
) -> None:
    start = traced.tracer.start_as_current_span
    with pytest.raises(RuntimeError), start("chat", attributes=CHAT):
        raise RuntimeError(CANARY)

    (event,) = running.events()
    assert (event.status, event.usage_missing) == ("error", True)


def test_a_cancelled_call_was_aborted(running: Meter, traced: Traced) -> None:
    with traced.tracer.start_as_current_span("chat", attributes=CHAT) as span:
        span.set_attribute("error.type", "asyncio.exceptions.CancelledError")
        span.set_status(StatusCode.ERROR)

    assert [event.status for event in running.events()] == ["aborted"]


def test_a_cancellation_that_only_the_status_names_is_one(running: Meter, traced: Traced) -> None:
    with traced.tracer.start_as_current_span("chat", attributes=CHAT) as span:
        span.set_status(StatusCode.ERROR, f"CancelledError: {CANARY}")

    assert [event.status for event in running.events()] == ["aborted"]


def test_a_call_that_was_refused_is_no_spend(running: Meter, traced: Traced) -> None:
    with traced.tracer.start_as_current_span("chat", attributes=CHAT) as span:
        span.set_attribute("error.type", "tollway.producers.errors.CallBlocked")

    assert running.events() == []
    assert traced.spans.stats() == {"refused": 1}


def test_a_span_that_says_no_usage_is_marked_and_counted(running: Meter, traced: Traced) -> None:
    traced.tracer.start_span("chat", attributes=CHAT).end()

    assert [event.usage_missing for event in running.events()] == [True]
    assert traced.spans.stats() == {"metered": 1, "usage_missing": 1}


def test_the_one_who_serves_a_call_does_not_pay_for_it(running: Meter, traced: Traced) -> None:
    served = {**CHAT, **ANSWERED}
    traced.tracer.start_span("chat", kind=SpanKind.SERVER, attributes=served).end()

    assert running.events() == []
    assert traced.spans.stats() == {"served": 1}


def test_a_session_of_the_host_counts_what_spans_tell(running: Meter, traced: Traced) -> None:
    with meter.session("1.00") as session:
        chat(traced.tracer)

        # 46 tokens at $2.50 and 11 at $10.00 a million.
        assert str(session.spent) == "0.000225000000"


def test_an_answer_from_the_emitters_own_cache_costs_nothing(
    running: Meter, traced: Traced
) -> None:
    chat(traced.tracer, litellm__cache_hit=True)

    assert [event.cost for event in running.events()] == ["0"]


def test_content_on_spans_goes_nowhere(running: Meter, traced: Traced) -> None:
    # The fixture `running` looks for the canary on the wire and in the log.
    with traced.tracer.start_as_current_span(f"chat {CANARY}", attributes=CHAT) as span:
        span.set_attributes({"gen_ai.input.messages": CANARY, "input.value": CANARY, **ANSWERED})
        span.add_event("gen_ai.user.message", {"content": CANARY})

    assert len(running.events()) == 1


def _crowded(attributes: int) -> Traced:
    return Traced(span_limits=SpanLimits(max_span_attributes=attributes))


def test_an_operation_that_a_spans_limit_pushed_out_is_remembered(running: Meter) -> None:
    traced = _crowded(8)
    with traced.tracer.start_as_current_span("chat", attributes=CHAT) as span:
        for number in range(6):
            span.set_attribute(f"llm.input_messages.{number}", "text")
        span.set_attributes(ANSWERED)

    (event,) = running.events()
    assert (event.provider, event.requested_model) == ("openai", "gpt-4o")
    assert (event.input_tokens, event.output_tokens) == (46, 11)


def test_a_span_whose_limit_pushed_out_its_usage_is_marked_and_told_of(
    running: Meter, caplog: pytest.LogCaptureFixture
) -> None:
    traced = _crowded(4)
    with traced.tracer.start_as_current_span("chat", attributes=CHAT) as span:
        span.set_attributes(ANSWERED)
        for number in range(6):
            span.set_attribute(f"llm.input_messages.{number}", "text")

    assert [event.usage_missing for event in running.events()] == [True]
    assert "raise OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" in caplog.text


def test_a_span_that_lost_the_name_of_its_operation_for_good_is_told_of(
    running: Meter, caplog: pytest.LogCaptureFixture
) -> None:
    traced = _crowded(4)
    with traced.tracer.start_as_current_span("any") as span:
        span.set_attributes({**CHAT, "llm.input_messages.0": "text", **ANSWERED})

    assert running.events() == []
    assert traced.spans.stats() == {"unknown": 1}
    assert "raise OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" in caplog.text


def test_spans_that_never_end_do_not_grow_for_ever(running: Meter, traced: Traced) -> None:
    first = traced.tracer.start_span("chat", attributes={**CHAT, **ANSWERED})
    for _ in range(MAX_LIVE):
        traced.tracer.start_span("never ends")
    first.end()

    assert traced.spans.stats() == {"forgotten": 1, "metered": 1}
    assert len(running.events()) == 1


def test_flushing_the_provider_does_not_wait_for_the_broker(traced: Traced) -> None:
    assert traced.provider.force_flush()


@pytest.mark.our_fault
def test_a_fault_of_ours_does_not_reach_the_host(
    running: Meter,
    traced: Traced,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("tollway.producers.otel.spans.usage_of_span", broken)
    with caplog.at_level(logging.ERROR, logger="tollway"):
        chat(traced.tracer)

    assert running.events() == []
    assert running.metering.faults.totals() == {"internal": 1}
