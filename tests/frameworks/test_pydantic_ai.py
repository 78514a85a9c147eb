"""Pydantic AI attached, against recorded responses: whole answers, and what belongs to which run.

Not with Anthropic's SDK: this version of the framework does not work with the one that is pinned.
"""

import asyncio
from collections.abc import Callable

import pytest
from pydantic_ai import Agent, ModelHTTPError
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.models import Model
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.openai import OpenAIChatModel

from answering import Answer, ReplayServer
from canary import PROMPT
from metered_once import assert_usage
from pydantic_agents import (
    CHAT,
    GEMINI,
    MODEL,
    RESPONSE,
    chat,
    gemini,
    llm,
    openai_provider,
    researcher,
    responses,
)
from recordings import recording
from tollway import meter
from tollway.producers.adapters import instrument
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("pydantic_ai")

WHOLE = [
    (chat, CHAT, "openai"),
    (responses, RESPONSE, "openai"),
    (gemini, GEMINI, "google"),
]
SDKS = ("openai", "google_genai")
Make = Callable[[ReplayServer], Model]


@pytest.mark.shows("meter", "agent name", "async")
@pytest.mark.parametrize("also", [(), SDKS])
@pytest.mark.parametrize(("make", "name", "provider"), WHOLE)
def test_a_run_is_one_event_of_its_agent(
    make: Make,
    name: str,
    provider: str,
    also: tuple[str, ...],
    server: ReplayServer,
    running: Meter,
) -> None:
    instrument("pydantic_ai", *also)
    recorded = recording(name)
    server.on(recorded.path, recorded.answer())

    result = asyncio.run(researcher(make(server)).run(PROMPT))

    [event] = running.events()
    assert_usage(event, recorded, provider=provider)
    assert (event.agent, event.session) == ("researcher", result.run_id)
    assert event.tags is not None
    assert event.tags["framework"] in {"pydantic_ai", *also}
    assert event.source == provider


def test_run_sync_is_metered(server: ReplayServer, running: Meter) -> None:
    recorded = recording(CHAT)
    server.on(recorded.path, recorded.answer())

    researcher(chat(server)).run_sync(PROMPT)

    [event] = running.events()
    assert_usage(event, recorded, provider="openai")


@pytest.mark.shows("block")
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("subject", [{"agent": "researcher"}, {"model": MODEL}])
def test_a_blocked_run_asks_for_nothing(
    subject: dict[str, str], streamed: bool, server: ReplayServer, running: Meter
) -> None:
    running.block(**subject)

    async def run() -> None:
        agent = researcher(chat(server))
        if streamed:
            async with agent.run_stream(PROMPT):
                pass
        else:
            await agent.run(PROMPT)

    with pytest.raises(meter.CallBlocked):
        asyncio.run(run())

    assert server.requests == []
    assert running.events() == []


@pytest.mark.shows("error")
@pytest.mark.parametrize("also", [(), ("openai",)])
def test_a_model_that_failed_is_an_event_that_says_so(
    also: tuple[str, ...], server: ReplayServer, running: Meter
) -> None:
    instrument("pydantic_ai", *also)
    server.on("/chat/completions", Answer(status=400, body=b'{"error": {"message": "bad"}}'))

    with pytest.raises(ModelHTTPError):
        asyncio.run(researcher(chat(server)).run(PROMPT))

    [event] = running.events()
    # What a provider refuses it does not bill.
    assert (event.status, event.usage_missing, event.agent) == ("error", False, "researcher")
    assert event.model == MODEL


@pytest.mark.shows("retry")
@pytest.mark.parametrize("also", [(), ("openai",)])
def test_a_retry_inside_the_client_is_one_call(
    also: tuple[str, ...], server: ReplayServer, running: Meter
) -> None:
    instrument("pydantic_ai", *also)
    recorded = recording(CHAT)
    busy = Answer(status=500, body=b"{}", headers={"retry-after-ms": "1"})
    server.on(recorded.path, busy, recorded.answer())
    model = OpenAIChatModel(MODEL, provider=openai_provider(server, retries=1))

    asyncio.run(researcher(model).run(PROMPT))

    assert len(server.requests) == 2
    [event] = running.events()
    assert_usage(event, recorded, provider="openai")


def test_a_fallback_is_billed_by_the_model_that_answered(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(RESPONSE)
    server.on("/chat/completions", Answer(status=500, body=b"{}"))
    server.on(recorded.path, recorded.answer())

    asyncio.run(researcher(FallbackModel(chat(server), responses(server))).run(PROMPT))

    [event] = running.events()
    assert_usage(event, recorded, provider="openai")


def test_equal_prompts_have_equal_hashes_and_others_have_others(
    server: ReplayServer, running: Meter
) -> None:
    server.on("/chat/completions", *(recording(CHAT).with_id(n).answer() for n in range(3)))

    async def run() -> None:
        for prompt in (PROMPT, PROMPT, f"{PROMPT} again"):
            await researcher(chat(server)).run(prompt)

    asyncio.run(run())

    first, second, third = running.events()
    assert first.prompt_hash == second.prompt_hash != third.prompt_hash


def test_what_the_host_attributes_wins(server: ReplayServer, running: Meter) -> None:
    recorded = recording(CHAT)
    server.on(recorded.path, recorded.answer())

    async def run() -> None:
        with meter.attribute(agent="mine", customer="acme"):
            await researcher(chat(server)).run(PROMPT)

    asyncio.run(run())

    [event] = running.events()
    assert (event.agent, event.customer) == ("mine", "acme")


@pytest.mark.shows("concurrent")
@pytest.mark.parametrize("also", [(), ("openai",)])
def test_sessions_that_run_at_a_time_do_not_mix(
    also: tuple[str, ...], server: ReplayServer, running: Meter
) -> None:
    instrument("pydantic_ai", *also)
    recorded = recording(CHAT)
    server.on(recorded.path, *(recorded.with_id(n).answer() for n in range(40)))

    async def run(name: str, calls: int) -> object:
        async with meter.session(session=f"session-{name}", agent=name) as session:
            for number in range(calls):
                # Another one each time: the same prompt thrice would be a loop.
                await Agent(chat(server), name=name).run(f"{PROMPT} {'x' * number}")
            return session.report()["breakdown"]["llm"]["calls"]

    async def all_at_once() -> list[object]:
        return await asyncio.gather(*(run(f"agent-{n}", n) for n in range(1, 6)))

    assert asyncio.run(all_at_once()) == [1, 2, 3, 4, 5]

    calls = [(event.agent, event.session) for event in llm(running)]
    assert {pair: calls.count(pair) for pair in calls} == {
        (f"agent-{n}", f"session-agent-{n}"): n for n in range(1, 6)
    }


def test_an_agent_under_durable_execution_is_left_as_it_is(
    server: ReplayServer, running: Meter
) -> None:
    class Durable(AbstractCapability):  # type: ignore[misc]  # no types here
        """Such a one refuses a run that brings capabilities along."""

    Durable.__module__ = "pydantic_ai.durable_exec.temporal"
    recorded = recording(CHAT)
    server.on(recorded.path, recorded.answer())

    asyncio.run(researcher(chat(server), capabilities=[Durable()]).run(PROMPT))

    assert running.events() == []


@pytest.mark.parametrize("also", [(), ("openai",)])
def test_a_run_that_is_cancelled_while_it_waits_is_one_aborted_call(
    also: tuple[str, ...], server: ReplayServer, running: Meter
) -> None:
    instrument("pydantic_ai", *also)
    recorded = recording(CHAT)
    server.on(recorded.path, Answer(events=(recorded.body,), hold_after=0))

    async def cancel() -> None:
        run = asyncio.create_task(researcher(chat(server)).run(PROMPT))
        while not server.requests:
            await asyncio.sleep(0)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    asyncio.run(asyncio.wait_for(cancel(), 20))

    [event] = running.events()
    assert (event.status, event.usage_missing, event.agent) == ("aborted", True, "researcher")
