"""The OpenAI Agents SDK attached, against recorded responses: its calls of models."""

import asyncio
from collections.abc import Callable
from typing import Any

import openai
import pytest
from agents import (
    Agent,
    Model,
    ModelResponse,
    ModelSettings,
    OpenAIResponsesModel,
    RunConfig,
    Runner,
    Usage,
    set_trace_processors,
    trace,
)

from agents_sdk import (
    CHAT,
    CHAT_STREAM,
    MODEL,
    RESPONSE,
    RESPONSE_STREAM,
    chat_agent,
    client,
    llm,
    responses_agent,
    streamed,
)
from answering import Answer, ReplayServer
from canary import PROMPT
from metered_once import assert_usage, cost_pico, expected_pico
from recordings import recording
from tollway import meter
from tollway.producers.adapters import instrument, uninstrument
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("openai_agents")


@pytest.fixture(autouse=True)
def untraced() -> None:
    """Traces go on, and nowhere: the SDK's own exporter sends them to its vendor."""
    set_trace_processors([])


@pytest.mark.shows("meter", "agent name", "async")
@pytest.mark.parametrize("api", ["responses", "chat"])
def test_a_run_is_one_event_of_its_agent(api: str, server: ReplayServer, running: Meter) -> None:
    recorded = recording(RESPONSE if api == "responses" else CHAT)
    server.on(recorded.path, recorded.answer())
    agent = responses_agent(server) if api == "responses" else chat_agent(server)

    with trace("a task", trace_id="trace_0123"):
        result = asyncio.run(Runner.run(agent, PROMPT))

    assert result.final_output
    [event] = running.events()
    # The SDK does not say which model answered: it is the one that was asked.
    assert_usage(event, recorded, provider="openai", model=MODEL)
    assert (event.agent, event.session) == ("researcher", "trace_0123")
    assert event.tags == {"framework": "openai_agents"}
    assert event.prompt_hash
    assert event.source == "openai"


@pytest.mark.parametrize("api", ["responses", "chat"])
@pytest.mark.parametrize("with_sdk", ["before", "after"])
def test_with_the_sdks_adapter_a_call_is_billed_once_and_by_what_was_billed(
    api: str, with_sdk: str, server: ReplayServer, running: Meter
) -> None:
    uninstrument()
    names = ("openai", "openai_agents") if with_sdk == "before" else ("openai_agents", "openai")
    for name in names:
        instrument(name)
    recorded = recording(RESPONSE if api == "responses" else CHAT)
    server.on(recorded.path, recorded.answer())
    agent = responses_agent(server) if api == "responses" else chat_agent(server)

    asyncio.run(Runner.run(agent, PROMPT, run_config=RunConfig(group_id="thread-7")))

    [event] = running.events()
    assert_usage(event, recorded, provider="openai")
    assert (event.agent, event.session) == ("researcher", "thread-7")


def test_run_sync_is_metered(server: ReplayServer, running: Meter) -> None:
    recorded = recording(RESPONSE)
    server.on(recorded.path, recorded.answer())

    Runner.run_sync(responses_agent(server), PROMPT)

    [event] = running.events()
    assert_usage(event, recorded, provider="openai", model=MODEL)


@pytest.mark.shows("stream")
@pytest.mark.parametrize("also", [(), ("openai",)])
@pytest.mark.parametrize("api", ["responses", "chat"])
def test_a_streamed_run_is_counted_at_its_end(
    api: str, also: tuple[str, ...], server: ReplayServer, running: Meter
) -> None:
    for name in also:
        instrument(name)
    recorded = recording(RESPONSE_STREAM if api == "responses" else CHAT_STREAM)
    server.on(recorded.path, recorded.answer())
    agent = responses_agent(server) if api == "responses" else chat_agent(server)

    events = asyncio.run(streamed(agent))

    assert "raw_response_event" in events
    [event] = running.events()
    # The SDK's chunks of a chat have no model: it is the one that was asked.
    asked = MODEL if api == "chat" and not also else ""
    assert_usage(event, recorded, provider="openai", model=asked)
    assert event.agent == "researcher"


@pytest.mark.shows("abort")
@pytest.mark.parametrize("also", [(), ("openai",)])
def test_a_streamed_run_that_is_cancelled_is_counted_once_as_a_lower_bound(
    also: tuple[str, ...], server: ReplayServer, running: Meter
) -> None:
    for name in also:
        instrument(name)
    recorded = recording(RESPONSE_STREAM)
    server.on(recorded.path, recorded.answer(hold_after=6))

    async def cancel() -> None:
        run = Runner.run_streamed(responses_agent(server), PROMPT)
        async for event in run.stream_events():
            if event.type == "raw_response_event":
                run.cancel()
        # The task that reads the model's stream ends after the events do.
        while not running.events():
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(cancel(), 20))

    [event] = running.events()
    assert (event.status, event.usage_missing) == ("aborted", True)
    assert event.agent == "researcher"
    assert event.model == "gpt-4o-2024-08-06"


@pytest.mark.shows("block")
@pytest.mark.parametrize("run", ["run", "run_sync", "run_streamed"])
def test_a_blocked_run_asks_for_nothing(run: str, server: ReplayServer, running: Meter) -> None:
    running.block(agent="researcher")
    agent = responses_agent(server)
    ways: dict[str, Callable[[], object]] = {
        "run": lambda: asyncio.run(Runner.run(agent, PROMPT)),
        "run_sync": lambda: Runner.run_sync(agent, PROMPT),
        "run_streamed": lambda: asyncio.run(streamed(agent)),
    }

    with pytest.raises(meter.CallBlocked):
        ways[run]()

    assert server.requests == []
    assert running.events() == []


def test_a_model_is_blocked_by_the_name_that_the_run_gives_it(
    server: ReplayServer, running: Meter
) -> None:
    running.block(model="gpt-4.1")
    config = RunConfig(model=OpenAIResponsesModel("gpt-4.1", client(server)))

    with pytest.raises(meter.CallBlocked):
        asyncio.run(Runner.run(responses_agent(server), PROMPT, run_config=config))

    assert server.requests == []


@pytest.mark.shows("error")
@pytest.mark.parametrize("also", [(), ("openai",)])
def test_a_model_that_failed_is_an_event_that_says_so(
    also: tuple[str, ...], server: ReplayServer, running: Meter
) -> None:
    for name in also:
        instrument(name)
    server.on("/responses", Answer(status=400, body=b'{"error": {"message": "bad"}}'))

    with pytest.raises(openai.BadRequestError):
        asyncio.run(Runner.run(responses_agent(server), PROMPT))

    [event] = running.events()
    # What a provider refuses it does not bill.
    assert (event.status, event.usage_missing, event.agent) == ("error", False, "researcher")
    assert event.model == MODEL


@pytest.mark.shows("retry")
@pytest.mark.parametrize("also", [(), ("openai",)])
def test_a_retry_inside_the_client_is_one_call(
    also: tuple[str, ...], server: ReplayServer, running: Meter
) -> None:
    for name in also:
        instrument(name)
    recorded = recording(RESPONSE)
    busy = Answer(status=500, body=b"{}", headers={"retry-after-ms": "1"})
    server.on(recorded.path, busy, recorded.answer())
    model = OpenAIResponsesModel(MODEL, client(server, retries=1))

    asyncio.run(Runner.run(Agent(name="researcher", model=model), PROMPT))

    assert len(server.requests) == 2
    [event] = running.events()
    assert_usage(event, recorded, provider="openai", model=event.model or "")


def test_what_the_host_attributes_wins(server: ReplayServer, running: Meter) -> None:
    recorded = recording(RESPONSE)
    server.on(recorded.path, recorded.answer())

    async def run() -> None:
        with meter.attribute(agent="mine", customer="acme"):
            await Runner.run(responses_agent(server), PROMPT)

    asyncio.run(run())

    [event] = running.events()
    assert (event.agent, event.customer) == ("mine", "acme")
    assert event.session


@pytest.mark.shows("concurrent")
@pytest.mark.parametrize("also", [(), ("openai",)])
def test_sessions_that_run_at_a_time_do_not_mix(
    also: tuple[str, ...], server: ReplayServer, running: Meter
) -> None:
    for name in also:
        instrument(name)
    recorded = recording(RESPONSE)
    replies = [recorded.with_id(n).answer() for n in range(40)]
    server.on(recorded.path, *replies)

    async def run(name: str, calls: int) -> object:
        async with meter.session(session=f"session-{name}", agent=name) as session:
            for number in range(calls):
                # Another one each time: the same prompt thrice would be a loop.
                await Runner.run(responses_agent(server, name), f"{PROMPT} {'x' * number}")
            return session.report()["breakdown"]["llm"]["calls"]

    async def all_at_once() -> list[object]:
        return await asyncio.gather(*(run(f"agent-{n}", n) for n in range(1, 6)))

    assert asyncio.run(all_at_once()) == [1, 2, 3, 4, 5]

    calls = [(event.agent, event.session) for event in llm(running)]
    assert {pair: calls.count(pair) for pair in calls} == {
        (f"agent-{n}", f"session-agent-{n}"): n for n in range(1, 6)
    }


def test_a_stream_that_never_says_its_usage_is_marked(server: ReplayServer, running: Meter) -> None:
    recorded = recording("chat_completions__stream_nousage__gpt-4o-mini__81b0c")
    server.on(recorded.path, recorded.answer())

    asyncio.run(streamed(chat_agent(server)))

    [event] = running.events()
    assert (event.usage_missing, event.status, event.agent) == (True, "ok", "researcher")


def test_a_cached_prompt_costs_what_it_costs(server: ReplayServer, running: Meter) -> None:
    recorded = recording("responses__cached__gpt-4.1__2cc08")
    server.on(recorded.path, recorded.answer())
    agent = Agent(name="researcher", model=OpenAIResponsesModel("gpt-4.1", client(server)))

    asyncio.run(Runner.run(agent, PROMPT))

    [event] = running.events()
    assert event.cache_read_tokens == 1024
    assert cost_pico(event) == expected_pico(recorded, provider="openai", model="gpt-4.1")


class Scripted(Model):  # type: ignore[misc]  # no types here
    """A host's own model, which asks nobody that we know."""

    async def get_response(self, *args: object, **kwargs: object) -> ModelResponse:
        usage = Usage(requests=1, input_tokens=11, output_tokens=7, total_tokens=18)
        return ModelResponse(output=[], usage=usage, response_id=None)

    def stream_response(self, *args: object, **kwargs: object) -> Any:  # noqa: ANN401 (abstract)
        raise NotImplementedError


def test_a_model_of_the_hosts_own_is_metered(running: Meter) -> None:
    asked = Scripted().get_response(None, PROMPT, ModelSettings(), [], None, [], None)

    asyncio.run(asked)

    [event] = running.events()
    assert (event.input_tokens, event.output_tokens, event.usage_missing) == (11, 7, False)
