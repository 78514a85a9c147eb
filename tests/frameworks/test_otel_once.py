"""One call that several emitters tell of, spans and adapters, is billed once."""

import pytest
from opentelemetry.trace import Tracer
from opentelemetry.util.types import AttributeValue

from inference_spans import AGENT, ANSWERED, CHAT, TOOL, Traced, chat
from tollway import meter
from tollway.producers.calls import Asked, begin
from tollway.producers.otel import SpanProcessor
from tollway.producers.responses import ResponseUsage
from tollway.producers.testing import Meter

USED = ResponseUsage(
    id="chatcmpl-1", source="openai", provider="openai", input_tokens=46, output_tokens=11
)


@pytest.fixture
def traced() -> Traced:
    return Traced()


def _asked() -> Asked:
    return Asked(kind="llm", framework="openai", provider="openai", model="gpt-4o")


def _metered_by_an_adapter(usage: ResponseUsage = USED) -> None:
    call = begin(_asked)
    with call.running():
        pass
    call.used(usage)


def _openinference(tracer: Tracer) -> None:
    """It knows no response id."""
    told = {"openinference.span.kind": "LLM", "llm.provider": "openai"}
    with tracer.start_as_current_span("ChatCompletion", attributes=told) as span:
        span.set_attributes({"llm.token_count.prompt": 46, "llm.token_count.completion": 11})


def test_two_emitters_of_one_call_bill_once(running: Meter, traced: Traced) -> None:
    inner = traced.provider.get_tracer("openinference.instrumentation.openai")
    with traced.tracer.start_as_current_span("chat", attributes=CHAT) as span:
        _openinference(inner)
        span.set_attributes(ANSWERED)

    (event,) = running.events()
    assert event.tags is not None
    assert event.tags["scope"] == "openinference.instrumentation.openai"
    assert traced.spans.stats() == {"metered": 1, "told_inside": 1}


def test_the_outer_emitter_tells_what_the_inner_one_does_not_know(
    running: Meter, traced: Traced
) -> None:
    with traced.tracer.start_as_current_span("chat", attributes=CHAT) as span:
        traced.tracer.start_span("chat", attributes=CHAT).end()
        span.set_attributes(ANSWERED)

    assert [event.input_tokens for event in running.events()] == [46]
    assert traced.spans.stats() == {"left_to_outer": 1, "metered": 1}


def test_a_call_that_is_tried_again_inside_another_is_two_calls(
    running: Meter, traced: Traced
) -> None:
    with traced.tracer.start_as_current_span("chat", attributes=CHAT):
        chat(traced.tracer)
        chat(traced.tracer, gen_ai__response__id="chatcmpl-2")

    assert [event.id for event in running.events()] == ["chatcmpl-1", "chatcmpl-2"]


def test_a_model_called_by_a_tool_is_a_call_of_its_own(running: Meter, traced: Traced) -> None:
    with traced.tracer.start_as_current_span("execute_tool", attributes=TOOL):
        chat(traced.tracer)

    assert [event.kind for event in running.events()] == ["llm", "tool"]


def test_a_tool_told_of_twice_is_one_call_and_one_called_by_another_is_its_own(
    running: Meter, traced: Traced
) -> None:
    start = traced.tracer.start_as_current_span
    lookup = {**TOOL, "gen_ai.tool.name": "lookup"}
    with (
        start("execute_tool", attributes=TOOL),
        start("tools/call", attributes=TOOL),
        start("execute_tool", attributes=lookup),
    ):
        pass

    assert [event.tool for event in running.events()] == ["lookup", "search"]


def test_a_tool_that_is_an_agent_is_no_call_of_what_that_agent_calls(
    running: Meter, traced: Traced
) -> None:
    start = traced.tracer.start_as_current_span
    with (
        start("execute_tool", attributes=TOOL),
        start("invoke_agent", attributes=AGENT),
        start("execute_tool", attributes=TOOL),
    ):
        chat(traced.tracer)

    assert [event.kind for event in running.events()] == ["llm", "tool", "tool"]


def test_an_adapter_around_the_span_meters_the_call(running: Meter, traced: Traced) -> None:
    call = begin(_asked)
    with call.running():
        chat(traced.tracer)
    call.used(USED)

    (event,) = running.events()
    assert event.tags == {"framework": "openai"}
    assert traced.spans.stats() == {"by_adapter": 1}


def test_an_adapter_inside_the_span_meters_the_call_for_the_spans_agent(
    running: Meter, traced: Traced
) -> None:
    start = traced.tracer.start_as_current_span
    with start("invoke_agent", attributes=AGENT), start("chat", attributes=CHAT) as span:
        _metered_by_an_adapter()
        span.set_attributes({"gen_ai.usage.input_tokens": 46, "gen_ai.usage.output_tokens": 11})

    (event,) = running.events()
    assert (event.tags, event.agent) == ({"framework": "openai"}, "researcher")
    assert traced.spans.stats() == {"told_inside": 1}


def test_a_stream_that_is_cut_ends_from_the_outside_in_and_is_billed_once(
    running: Meter, traced: Traced
) -> None:
    told: dict[str, AttributeValue] = {
        "openinference.span.kind": "LLM",
        "llm.token_count.prompt": 46,
    }
    span = traced.tracer.start_span("ChatCompletion", attributes=told)
    inside = begin(_asked)
    span.end()
    inside.aborted(USED)

    around = begin(_asked)
    with around.running():
        never_ended = traced.tracer.start_span("ChatCompletion", attributes=told)
    around.aborted(ResponseUsage(id="chatcmpl-2", source="openai", input_tokens=1))
    never_ended.end()

    assert [event.id for event in running.events()] == ["chatcmpl-1", "chatcmpl-2"]
    assert traced.spans.stats() == {"told_inside": 1, "by_adapter": 1}


def test_an_adapters_call_after_the_span_is_another_one(running: Meter, traced: Traced) -> None:
    chat(traced.tracer)
    _metered_by_an_adapter(
        ResponseUsage(id="chatcmpl-2", source="openai", input_tokens=1, output_tokens=1)
    )

    assert [event.id for event in running.events()] == ["chatcmpl-1", "chatcmpl-2"]


def test_an_adapters_tool_around_a_models_span_does_not_hide_it(
    running: Meter, traced: Traced
) -> None:
    call = begin(lambda: Asked(kind="tool", framework="mcp", tool="ask"))
    with call.running():
        chat(traced.tracer)
    call.returned("done")

    assert [event.kind for event in running.events()] == ["llm", "tool"]


def test_the_processor_added_twice_tells_one_event_twice_which_is_billed_once(
    running: Meter, traced: Traced
) -> None:
    traced.provider.add_span_processor(SpanProcessor())
    with meter.session("1.00") as session:
        chat(traced.tracer, gen_ai__response__id="")

    first, second = (event for event in running.events() if event.kind == "llm")
    assert (first.source, first.id) == (second.source, second.id)
    assert (first.source, len(first.id)) == ("opentelemetry", 48)
    assert session.report()["breakdown"]["llm"]["calls"] == 1
