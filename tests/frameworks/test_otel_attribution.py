"""Whose a call is that a span tells of: the spans around it, and what the host says."""

import asyncio
import threading

import pytest
from opentelemetry.trace import SpanKind, format_trace_id

from inference_spans import AGENT, ANSWERED, CHAT, Traced, chat
from tollway import meter
from tollway.producers.testing import Meter


@pytest.fixture
def traced() -> Traced:
    return Traced()


def test_the_nearest_agent_and_the_conversation_are_whose_the_call_is(
    running: Meter, traced: Traced
) -> None:
    outer = {**AGENT, "gen_ai.agent.name": "manager", "gen_ai.conversation.id": "c-1"}
    start = traced.tracer.start_as_current_span
    with start("invoke_agent", attributes=outer):
        with start("invoke_agent", attributes=AGENT), start("POST", kind=SpanKind.CLIENT):
            chat(traced.tracer)
        chat(traced.tracer)

    inner, last = running.events()
    assert (inner.agent, inner.session) == ("researcher", "c-1")
    assert (last.agent, last.session) == ("manager", "c-1")


def test_an_agent_that_names_itself_only_after_its_span_began_is_known(
    running: Meter, traced: Traced
) -> None:
    with traced.tracer.start_as_current_span("invoke_agent") as span:
        span.set_attributes(AGENT)
        chat(traced.tracer)

    assert [event.agent for event in running.events()] == ["researcher"]


def test_an_agent_whose_span_ended_before_the_call_did_is_known(
    running: Meter, traced: Traced
) -> None:
    with traced.tracer.start_as_current_span("invoke_agent", attributes=AGENT):
        call = traced.tracer.start_span("chat", attributes={**CHAT, **ANSWERED})
    call.end()

    assert [event.agent for event in running.events()] == ["researcher"]


def test_a_workflow_is_a_tag(running: Meter, traced: Traced) -> None:
    workflow = {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "triage"}
    with traced.tracer.start_as_current_span("invoke_workflow", attributes=workflow):
        chat(traced.tracer)

    (event,) = running.events()
    assert event.tags is not None
    assert event.tags["workflow"] == "triage"


def test_a_run_without_a_conversation_is_its_trace(running: Meter, traced: Traced) -> None:
    with traced.tracer.start_as_current_span("invoke_agent", attributes=AGENT) as agent:
        chat(traced.tracer)
    chat(traced.tracer, gen_ai__response__id="chatcmpl-2")

    in_run, alone = running.events()
    assert in_run.session == format_trace_id(agent.get_span_context().trace_id)
    assert alone.session is None


def test_a_conversation_inside_another_has_it_as_its_parent(running: Meter, traced: Traced) -> None:
    outer = {**AGENT, "gen_ai.conversation.id": "outer"}
    inner = {**AGENT, "gen_ai.conversation.id": "inner"}
    start = traced.tracer.start_as_current_span
    with start("invoke_agent", attributes=outer), start("invoke_agent", attributes=inner):
        chat(traced.tracer)

    (event,) = running.events()
    assert (event.session, event.parent_session) == ("inner", "outer")


def test_what_the_host_attributes_wins_over_what_spans_say(running: Meter, traced: Traced) -> None:
    said = {**AGENT, "gen_ai.conversation.id": "c-1", "user.id": "u-1"}
    with (
        meter.attribute(agent="billing", session="s-1", tags={"team": "search"}),
        traced.tracer.start_as_current_span("invoke_agent", attributes=said),
    ):
        chat(traced.tracer)

    (event,) = running.events()
    assert (event.agent, event.session, event.user) == ("billing", "s-1", "u-1")
    assert event.tags is not None
    assert event.tags["team"] == "search"


def test_a_span_that_ends_in_another_thread_keeps_the_attribution_it_began_with(
    running: Meter, traced: Traced
) -> None:
    with meter.attribute(customer="corp"):
        span = traced.tracer.start_span("chat", attributes={**CHAT, **ANSWERED})
    ending = threading.Thread(target=span.end)
    ending.start()
    ending.join()

    assert [event.customer for event in running.events()] == ["corp"]


def test_concurrent_tasks_do_not_mix(running: Meter, traced: Traced) -> None:
    async def run(number: int) -> None:
        named = {**AGENT, "gen_ai.agent.name": f"agent-{number}"}
        with traced.tracer.start_as_current_span("invoke_agent", attributes=named):
            await asyncio.sleep(0)
            chat(traced.tracer, gen_ai__response__id=f"chatcmpl-{number}")

    async def run_all() -> None:
        await asyncio.gather(*(run(number) for number in range(100)))

    asyncio.run(run_all())

    assert {(event.agent, event.id) for event in running.events()} == {
        (f"agent-{number}", f"chatcmpl-{number}") for number in range(100)
    }


def test_sixteen_tags_of_the_host_leave_no_room_for_ours(running: Meter, traced: Traced) -> None:
    own = {f"tag-{number}": "x" for number in range(16)}
    with meter.attribute(tags=own):
        chat(traced.tracer)

    assert [event.tags for event in running.events()] == [own]
