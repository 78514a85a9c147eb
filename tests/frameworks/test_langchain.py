"""LangChain's models, through its callbacks: metered once, refused before they ask, let go of."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.caches import InMemoryCache
from langchain_core.messages import HumanMessage
from langchain_openai import OpenAI
from openai import InternalServerError

from answering import Answer, ReplayServer
from canary import PROMPT
from chat_models import PLAIN, STREAM, model, the_event
from metered_once import assert_usage
from recordings import recording
from tollway import meter
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("langchain")


@pytest.mark.shows("meter")
def test_a_call_is_one_event_with_the_responses_usage(server: ReplayServer, running: Meter) -> None:
    plain = recording(PLAIN)
    server.on("/chat/completions", plain.answer())

    answer = model(server).invoke(PROMPT)

    event = the_event(running)
    assert answer.content == "Germany."
    assert_usage(event, plain, provider="openai")
    assert event.tags == {"framework": "langchain"}
    assert event.source == "openai"
    assert event.id.startswith("chatcmpl-")
    assert event.requested_model == "gpt-4o"
    assert event.prompt_hash is not None


def test_what_anthropic_writes_to_its_cache_is_in_the_input(
    server: ReplayServer, running: Meter
) -> None:
    written = recording("messages__cachewrite__claude-3-7-sonnet__b7387")
    server.on("/messages", written.answer())
    claude = ChatAnthropic(model="claude-3-7-sonnet-20250219", base_url=server.url, api_key="none")

    claude.invoke(PROMPT)

    event = the_event(running)
    assert_usage(event, written, provider="anthropic")
    assert event.cache_write_tokens == 1733


@pytest.mark.shows("stream")
def test_a_stream_is_counted_at_its_end(server: ReplayServer, running: Meter) -> None:
    streamed = recording(STREAM)
    server.on("/chat/completions", streamed.answer())

    chunks = list(model(server, stream_usage=True).stream(PROMPT))

    assert len(chunks) > 3
    assert_usage(the_event(running), streamed, provider="openai")


def test_anthropics_stream_has_what_it_read_from_its_cache(
    server: ReplayServer, running: Meter
) -> None:
    streamed = recording("messages__stream_cached__claude-sonnet-4-5__1e625")
    server.on("/messages", streamed.answer())
    claude = ChatAnthropic(model="claude-sonnet-4-5", base_url=server.url, api_key="none")

    list(claude.stream(PROMPT))

    assert_usage(the_event(running), streamed, provider="anthropic")


def test_a_stream_that_does_not_say_its_usage_is_marked(
    server: ReplayServer, running: Meter
) -> None:
    silent = recording("chat_completions__stream_nousage__gpt-4o-mini__81b0c")
    server.on("/chat/completions", silent.answer())

    list(model(server).stream(PROMPT))

    event = the_event(running)
    assert event.usage_missing
    assert event.status == "ok"
    assert event.model == "gpt-4o-mini-2024-07-18"


@pytest.mark.shows("abort")
def test_a_stream_that_the_host_lets_go_of_is_counted_once(
    server: ReplayServer, running: Meter
) -> None:
    server.on("/chat/completions", recording(STREAM).answer())

    chunks = model(server, stream_usage=True).stream(PROMPT)
    next(chunks)
    chunks.close()

    event = the_event(running)
    assert event.status == "aborted"
    assert event.usage_missing
    assert event.provider == "openai"


@pytest.mark.shows("async")
def test_asynchronous_calls_and_streams_are_counted(server: ReplayServer, running: Meter) -> None:
    plain, streamed = recording(PLAIN), recording(STREAM)
    server.on("/chat/completions", plain.answer(), streamed.answer())

    async def both() -> None:
        await model(server).ainvoke(PROMPT)
        assert [chunk async for chunk in model(server, stream_usage=True).astream(PROMPT)]

    asyncio.run(both())

    first, second = running.events()
    assert_usage(first, plain, provider="openai")
    assert_usage(second, streamed, provider="openai")


def test_a_cancelled_call_is_counted_once(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", recording(STREAM).answer(hold_after=1))

    async def cancelled() -> None:
        task = asyncio.create_task(model(server, streaming=True).ainvoke(PROMPT))
        while not server.sent_events:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())

    event = the_event(running)
    assert event.status == "aborted"
    assert event.usage_missing


@pytest.mark.shows("block")
def test_a_blocked_call_never_leaves(server: ReplayServer, running: Meter) -> None:
    running.block(model="gpt-4o")

    with pytest.raises(meter.CallBlocked):
        model(server).invoke(PROMPT)
    with pytest.raises(meter.CallBlocked):
        list(model(server).stream(PROMPT))
    with pytest.raises(meter.CallBlocked):
        asyncio.run(model(server).ainvoke(PROMPT))
    with pytest.raises(meter.CallBlocked):
        model(server).with_retry(wait_exponential_jitter=False).invoke(PROMPT)

    assert server.requests == []
    assert running.events() == []


def test_a_fallback_is_asked_where_only_the_first_model_is_blocked(
    server: ReplayServer, running: Meter
) -> None:
    server.on("/chat/completions", recording(PLAIN).answer())
    running.block(model="gpt-4o")
    cheaper = model(server, model="gpt-4o-mini")

    model(server).with_fallbacks([cheaper]).invoke(PROMPT)

    assert the_event(running).requested_model == "gpt-4o-mini"


@pytest.mark.shows("retry", "error")
def test_a_retry_is_the_same_call_and_an_error_is_told(
    server: ReplayServer, running: Meter
) -> None:
    failed = Answer(status=500, body=b'{"error": {"message": "no"}}', headers={"retry-after": "0"})
    server.on("/chat/completions", failed, recording(PLAIN).answer(), failed)

    model(server, max_retries=1).invoke(PROMPT)
    with pytest.raises(InternalServerError):
        model(server).invoke(PROMPT)

    first, second = running.events()
    assert first.status == "ok"
    assert second.status == "error"
    # An error answer used nothing.
    assert not second.usage_missing
    assert len(server.requests) == 3


@pytest.mark.shows("concurrent")
def test_sessions_that_run_at_a_time_do_not_mix(server: ReplayServer, running: Meter) -> None:
    plain = recording(PLAIN)
    answers = [plain.with_id(number).answer() for number in range(40)]
    server.on("/chat/completions", *answers)

    def in_thread(number: int) -> None:
        with meter.session(agent=f"agent-{number}", session=f"thread-{number}"):
            for step in range(5):
                model(server).invoke(f"{PROMPT} {step}")

    async def in_task(number: int) -> None:
        async with meter.session(agent=f"agent-{number}", session=f"task-{number}"):
            for step in range(5):
                await model(server).ainvoke(f"{PROMPT} {step}")

    async def tasks() -> None:
        await asyncio.gather(*map(in_task, range(4)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(in_thread, range(4)))
    asyncio.run(tasks())

    counted: dict[tuple[str, str | None], int] = {}
    for event in (event for event in running.events() if event.kind == "llm"):
        key = (event.agent, event.session)
        counted[key] = counted.get(key, 0) + 1
    assert counted == {
        (f"agent-{number}", f"{where}-{number}"): 5
        for number in range(4)
        for where in ("thread", "task")
    }


def test_several_prompts_of_one_call_are_several_events(
    server: ReplayServer, running: Meter
) -> None:
    plain = recording(PLAIN)
    server.on("/chat/completions", plain.answer(), plain.with_id(2).answer())

    model(server).generate([[HumanMessage(PROMPT)], [HumanMessage(PROMPT + " twice")]])

    first, second = running.events()
    assert_usage(first, plain, provider="openai")
    assert_usage(second, plain, provider="openai")
    assert first.prompt_hash != second.prompt_hash


def test_what_the_cache_answers_is_no_call(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", recording(PLAIN).answer())
    remembering = model(server, cache=InMemoryCache())

    for _ in range(3):
        remembering.invoke(PROMPT)

    assert len(server.requests) == 1
    assert the_event(running).output_tokens == 2


def test_a_completion_of_text_is_metered_too(server: ReplayServer, running: Meter) -> None:
    completed = recording("chat_completions__plain__gpt-4o__0f050").edited(
        lambda body: body.update(
            object="text_completion",
            model="gpt-3.5-turbo-instruct",
            choices=[{"text": "Germany.", "index": 0, "finish_reason": "stop", "logprobs": None}],
        )
    )
    server.on("/completions", completed.answer())
    llm = OpenAI(model="gpt-3.5-turbo-instruct", base_url=f"{server.url}/v1", api_key="none")

    llm.invoke(PROMPT)

    event = the_event(running)
    assert (event.input_tokens, event.output_tokens) == (25, 2)
    assert event.model == "gpt-3.5-turbo-instruct"
