"""AutoGen against recorded responses: clients, agents and teams, attached or one by one."""

import asyncio
import gc

import openai
import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.cache import ChatCompletionCache

from answering import Answer, ReplayServer
from autogen_parts import (
    CACHED,
    PLAIN,
    STREAM,
    Framework,
    client_of,
    create,
    of_kind,
    read,
    read_on,
    researcher,
    stream,
    team_of,
)
from canary import PROMPT
from metered_once import assert_usage
from recordings import recording
from tollway import meter
from tollway.producers.adapters import instrument
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("autogen")


@pytest.mark.shows("meter", "async")
@pytest.mark.parametrize("both", [False, True])
def test_a_call_of_a_client_is_one_event(server: ReplayServer, running: Meter, both: bool) -> None:
    if both:
        instrument("openai")
    recorded = recording(PLAIN)
    server.on("/chat/completions", recorded.answer())
    asyncio.run(create(client_of(server)))
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")
    assert event.prompt_hash is not None


def test_what_caches_read_is_known_with_the_sdk_attached_too(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(CACHED)
    server.on("/chat/completions", recorded.answer(), recorded.with_id(2).answer())
    client = client_of(server, "gpt-4o-2024-08-06")

    async def twice() -> None:
        await create(client)
        instrument("openai")
        await create(client)

    asyncio.run(twice())
    alone, together = running.events()
    assert (alone.input_tokens, alone.cache_read_tokens) == (together.input_tokens, 0)
    assert together.cache_read_tokens > 0
    assert_usage(together, recorded, provider="openai")


@pytest.mark.shows("agent name")
def test_an_agents_call_is_the_agents(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", recording(PLAIN).answer())
    asyncio.run(researcher(client_of(server)).run(task=PROMPT))
    (event,) = running.events()
    assert event.agent == "researcher"
    assert event.tags == {"framework": "autogen"}


def test_in_a_team_each_agents_calls_are_its_own(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", recording(PLAIN).answer(), recording(PLAIN).with_id(2).answer())
    writer = AssistantAgent("writer", client_of(server))
    asyncio.run(team_of(researcher(client_of(server)), writer).run(task=PROMPT))
    assert [event.agent for event in running.events()] == ["researcher", "writer"]
    assert len({event.session for event in running.events()}) == 1
    assert running.events()[0].session


@pytest.mark.shows("block")
def test_a_blocked_call_reaches_the_host_and_not_the_provider(
    server: ReplayServer, running: Meter
) -> None:
    running.block(model="gpt-4o-mini")
    with pytest.raises(meter.CallBlocked):
        asyncio.run(create(client_of(server)))
    with pytest.raises(meter.CallBlocked):
        asyncio.run(read(stream(client_of(server))))
    with pytest.raises(meter.CallBlocked):
        asyncio.run(researcher(client_of(server)).run(task=PROMPT))
    assert server.requests == []
    assert running.events() == []


@pytest.mark.parametrize("subject", [{"agent": "writer"}, {"model": "gpt-4o-mini"}])
def test_a_blocked_agent_ends_its_team_with_what_it_is(
    server: ReplayServer, running: Meter, subject: dict[str, str]
) -> None:
    server.on("/chat/completions", recording(PLAIN).answer())
    running.block(**subject)
    agents = [researcher(client_of(server, "gpt-4o")), AssistantAgent("writer", client_of(server))]
    with pytest.raises(meter.CallBlocked):
        asyncio.run(team_of(*agents).run(task=PROMPT))
    assert len(server.requests) == 1


@pytest.mark.shows("stream")
@pytest.mark.parametrize("both", [False, True])
def test_a_stream_is_counted_at_its_end(server: ReplayServer, running: Meter, both: bool) -> None:
    if both:
        instrument("openai")
    recorded = recording(STREAM)
    server.on("/chat/completions", recorded.answer())
    asyncio.run(read(stream(client_of(server, "gpt-4-0613"))))
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


def test_an_agent_that_streams_is_counted_once(server: ReplayServer, running: Meter) -> None:
    recorded = recording(STREAM)
    server.on("/chat/completions", recorded.answer())
    agent = researcher(client_of(server, "gpt-4-0613"), model_client_stream=True)
    asyncio.run(read(agent.run_stream(task=PROMPT)))
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")
    assert event.agent == "researcher"


@pytest.mark.shows("abort")
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("way", ["close", "drop", "cancel"])
def test_a_stream_that_its_host_lets_go_of_is_counted_once(
    server: ReplayServer, running: Meter, way: str, both: bool
) -> None:
    if both:
        instrument("openai")
    server.on("/chat/completions", recording(STREAM).answer(hold_after=3))

    async def begin() -> None:
        chunks = stream(client_of(server, "gpt-4-0613"))
        begun = asyncio.Event()
        if way == "cancel":
            reading = asyncio.create_task(read_on(chunks, begun))
            await begun.wait()
            reading.cancel()
            await asyncio.wait([reading])
            return
        async for _ in chunks:
            break
        if way == "close":
            await chunks.aclose()
        del chunks
        gc.collect()

    asyncio.run(begin())
    gc.collect()
    (event,) = running.events()
    assert (event.status, event.usage_missing) == ("aborted", True)
    assert event.model == "gpt-4-0613"


@pytest.mark.shows("error")
def test_an_error_of_the_provider_is_one_event(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", Answer(status=400, body=b'{"error": {"message": "no"}}'))
    with pytest.raises(openai.BadRequestError):
        asyncio.run(create(client_of(server)))
    (event,) = running.events()
    assert (event.status, event.provider, event.model) == ("error", "openai", "gpt-4o-mini")


@pytest.mark.shows("retry")
def test_a_retry_inside_the_client_is_one_call(server: ReplayServer, running: Meter) -> None:
    recorded = recording(PLAIN)
    busy = Answer(status=429, body=b'{"error": {}}', headers={"retry-after-ms": "1"})
    server.on("/chat/completions", busy, recorded.answer())
    asyncio.run(create(client_of(server, retries=1)))
    assert len(server.requests) == 2
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


def test_an_answer_from_a_cache_costs_nothing(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", recording(PLAIN).answer())
    client = ChatCompletionCache(client_of(server))

    async def twice() -> Framework:
        await create(client)
        return await create(client)

    assert asyncio.run(twice()).cached
    assert len(running.events()) == 1


@pytest.mark.shows("concurrent")
def test_sessions_that_run_at_a_time_do_not_mix(server: ReplayServer, running: Meter) -> None:
    recorded = recording(PLAIN)
    server.on("/chat/completions", *(recorded.with_id(each).answer() for each in range(40)))

    async def run(number: int) -> None:
        agent = AssistantAgent(f"agent_{number}", client_of(server))
        with meter.attribute(session=f"run-{number}"):
            for _ in range(number):
                await agent.run(task=PROMPT)

    async def all_runs() -> None:
        await asyncio.gather(*(run(number) for number in range(1, 6)))

    asyncio.run(all_runs())
    told = [(event.agent, event.session) for event in of_kind(running, "llm")]
    assert sorted(told) == sorted(
        (f"agent_{number}", f"run-{number}") for number in range(1, 6) for _ in range(number)
    )
