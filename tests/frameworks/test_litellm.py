"""LiteLLM's functions and its Router: metered once, refused before they ask, streams let go of."""

import asyncio
import gc
from typing import Any

import pytest

from answering import Answer, ReplayServer, Seen
from canary import PROMPT
from metered_once import assert_usage
from offline_litellm import MESSAGES, at, litellm
from recordings import recording
from tollway import meter
from tollway.contract.usage import UsageEvent
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework(
    "litellm",
    lacks={
        "agent name": "LiteLLM knows no agents; its proxy has keys, whose alias is the agent",
        "tool": "LiteLLM runs no tools; the calls that a model asks for are counted in its event",
    },
)

PLAIN = "chat_completions__plain__gpt-4o__0f050"
STREAM = "chat_completions__stream__gpt-4__6d197"
REFUSED = Answer(status=500, body=b'{"error": {"message": "no"}}', headers={"retry-after": "0"})


def answers(server: ReplayServer) -> None:
    """A stream to who asks for one, else a whole answer."""

    # Here, and not in the server's thread, where nobody would hear that they are absent.
    streamed, whole = recording(STREAM).answer(), recording(PLAIN).answer()

    def reply(seen: Seen) -> Answer:
        return streamed if seen.json().get("stream") else whole

    server.on("/chat/completions", reply)


def the_event(running: Meter) -> UsageEvent:
    (event,) = running.events()
    return event


@pytest.mark.shows("meter")
def test_a_call_is_one_event_with_the_responses_usage(server: ReplayServer, running: Meter) -> None:
    answers(server)

    litellm().completion("openai/gpt-4o", MESSAGES, user="ada", **at(server))

    event = the_event(running)
    assert_usage(event, recording(PLAIN), provider="openai")
    assert event.tags == {"framework": "litellm"}
    assert event.requested_model == "openai/gpt-4o"
    assert event.user == "ada"
    assert event.source == "openai"
    assert event.prompt_hash is not None


@pytest.mark.shows("async")
def test_asynchronous_calls_and_streams_are_counted(server: ReplayServer, running: Meter) -> None:
    answers(server)

    async def both() -> None:
        await litellm().acompletion("gpt-4o", MESSAGES, **at(server))
        chunks = await litellm().acompletion("gpt-4", MESSAGES, stream=True, **at(server))
        assert [chunk async for chunk in chunks]

    asyncio.run(both())

    first, second = running.events()
    assert_usage(first, recording(PLAIN), provider="openai")
    # LiteLLM's chunks name the model that was asked for.
    assert_usage(second, recording(STREAM), provider="openai", model="gpt-4")


@pytest.mark.shows("stream")
def test_a_stream_is_asked_for_its_usage_and_the_host_does_not_see_that(
    server: ReplayServer, running: Meter
) -> None:
    answers(server)

    chunks = list(litellm().completion("gpt-4", MESSAGES, stream=True, **at(server)))

    assert server.requests[0].json()["stream_options"] == {"include_usage": True}
    assert [chunk for chunk in chunks if getattr(chunk, "usage", None) is not None] == []
    assert all(chunk.choices for chunk in chunks)
    assert_usage(the_event(running), recording(STREAM), provider="openai", model="gpt-4")


def test_a_host_that_asks_for_the_usage_of_a_stream_is_given_it(
    server: ReplayServer, running: Meter
) -> None:
    answers(server)
    asking = {"stream_options": {"include_usage": True}}

    chunks = list(litellm().completion("gpt-4", MESSAGES, stream=True, **asking, **at(server)))

    assert chunks[-1].usage.total_tokens == 17
    assert_usage(the_event(running), recording(STREAM), provider="openai", model="gpt-4")


@pytest.mark.shows("abort")
def test_a_stream_that_the_host_lets_go_of_is_counted_once(
    server: ReplayServer, running: Meter
) -> None:
    answers(server)

    async def let_go() -> None:
        chunks = await litellm().acompletion("gpt-4", MESSAGES, stream=True, **at(server))
        await anext(chunks)
        await chunks.aclose()

    closed = litellm().completion("gpt-4", MESSAGES, stream=True, **at(server))
    next(closed)
    closed.close()
    asyncio.run(let_go())

    events = running.events()
    assert [event.status for event in events] == ["aborted", "aborted"]
    assert all(event.usage_missing for event in events)


def test_a_stream_that_is_dropped_is_counted_once_nobody_has_it(
    server: ReplayServer, running: Meter
) -> None:
    answers(server)

    dropped = litellm().completion("gpt-4", MESSAGES, stream=True, **at(server))
    next(dropped)
    del dropped
    # LiteLLM's own threads hold it a little longer.
    while not running.events():
        gc.collect()

    assert the_event(running).status == "aborted"


@pytest.mark.shows("block")
def test_a_blocked_call_never_leaves(server: ReplayServer, running: Meter) -> None:
    running.block(model="gpt-4o")

    with pytest.raises(meter.CallBlocked):
        litellm().completion("openai/gpt-4o", MESSAGES, num_retries=2, **at(server))
    with pytest.raises(meter.CallBlocked):
        asyncio.run(litellm().acompletion("gpt-4o", MESSAGES, num_retries=2, **at(server)))
    with pytest.raises(meter.CallBlocked):
        litellm().completion("gpt-4o", MESSAGES, stream=True, **at(server))
    with pytest.raises(meter.CallBlocked):
        litellm().responses(input=PROMPT, model="gpt-4o", **at(server))

    assert server.requests == []
    assert running.events() == []


def router(server: ReplayServer, **more: Any) -> Any:  # noqa: ANN401 (LiteLLM's)
    deployments = [
        {"model_name": name, "litellm_params": {"model": f"openai/{model}", **at(server)}}
        for name, model in (("best", "gpt-4o"), ("cheap", "gpt-4o-mini"))
    ]
    return litellm().Router(deployments, **more)


def test_a_router_does_not_try_a_blocked_call_again_and_goes_on_afterwards(
    server: ReplayServer, running: Meter
) -> None:
    answers(server)
    routed = router(server, num_retries=3, retry_after=30)
    running.block(model="gpt-4o")

    with pytest.raises(meter.CallBlocked):
        routed.completion("best", MESSAGES)
    with pytest.raises(meter.CallBlocked):
        asyncio.run(routed.acompletion("best", MESSAGES))
    assert server.requests == []
    running.lift(model="gpt-4o")
    routed.completion("best", MESSAGES)

    event = the_event(running)
    assert_usage(event, recording(PLAIN), provider="openai")
    assert event.session is None


def test_a_router_falls_back_from_a_blocked_model(server: ReplayServer, running: Meter) -> None:
    answers(server)
    routed = router(server, fallbacks=[{"best": ["cheap"]}])
    running.block(model="gpt-4o")

    routed.completion("best", MESSAGES)

    assert the_event(running).requested_model == "openai/gpt-4o-mini"


def test_a_routers_streams_are_counted_once(server: ReplayServer, running: Meter) -> None:
    answers(server)
    routed = router(server)

    async def both() -> None:
        chunks = await routed.acompletion("best", MESSAGES, stream=True)
        assert [chunk async for chunk in chunks]
        let_go_of = await routed.acompletion("best", MESSAGES, stream=True)
        await anext(let_go_of)
        await let_go_of.aclose()

    asyncio.run(both())

    first, second = running.events()
    assert_usage(first, recording(STREAM), provider="openai", model="gpt-4o")
    assert (second.status, second.usage_missing) == ("aborted", True)


@pytest.mark.shows("error")
def test_a_call_that_fails_is_an_event_that_says_so(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", REFUSED)

    with pytest.raises(litellm().InternalServerError):
        litellm().completion("gpt-4o", MESSAGES, max_retries=0, **at(server))

    event = the_event(running)
    assert event.status == "error"
    # An error answer used nothing.
    assert not event.usage_missing
    assert (event.provider, event.model) == ("openai", "gpt-4o")


def test_a_call_that_nobody_answers_may_have_used_something(
    server: ReplayServer, running: Meter
) -> None:
    server.on("/chat/completions", recording(STREAM).answer(hold_after=0))

    with pytest.raises(litellm().Timeout):
        litellm().completion("gpt-4o", MESSAGES, timeout=0.2, max_retries=0, **at(server))

    event = the_event(running)
    assert event.status == "error"
    assert event.usage_missing


@pytest.mark.shows("retry")
def test_what_the_sdk_below_tries_again_is_one_call(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", REFUSED, recording(PLAIN).answer())

    litellm().completion("gpt-4o", MESSAGES, max_retries=1, **at(server))

    assert len(server.requests) == 2
    assert_usage(the_event(running), recording(PLAIN), provider="openai")
