"""CrewAI against recorded responses: crews, agents and models alone, attached or listened to."""

import asyncio
import os
import threading

# Before CrewAI is imported: it would tell its maker of every run, and LiteLLM ask for prices.
os.environ.update(CREWAI_DISABLE_TELEMETRY="true", LITELLM_LOCAL_MODEL_COST_MAP="true")

import pytest
from crewai import LLM, BaseLLM

from answering import Answer, ReplayServer
from canary import PROMPT
from crews import CACHED, MESSAGE, PLAIN, STREAM, crew_of, llm_of
from metered_once import assert_usage
from recordings import recording
from tollway import meter
from tollway.producers.adapters import instrument
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework(
    "crewai", lacks={"abort": "a stream is read to its end inside the call of a model"}
)


@pytest.mark.shows("meter", "agent name")
@pytest.mark.parametrize("both", [False, True])
def test_a_crews_call_is_one_event_of_the_agents_role(
    server: ReplayServer, running: Meter, both: bool
) -> None:
    if both:
        instrument("openai")
    recorded = recording(PLAIN)
    server.on("/chat/completions", recorded.answer())
    crew = crew_of(llm_of(server, "openai/gpt-4o-mini"))
    assert crew.kickoff().raw
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")
    assert (event.agent, event.session, event.task) == ("researcher", str(crew.id), "greet")
    assert event.prompt_hash is not None
    assert event.id.startswith("chatcmpl-")


def test_claude_is_metered_with_what_its_caches_read_and_wrote(
    server: ReplayServer, running: Meter
) -> None:
    recorded = recording(MESSAGE)
    server.on("/messages", recorded.answer())
    llm = LLM(model="anthropic/claude-sonnet-4-5", base_url=server.url, api_key="none")
    llm.call(PROMPT)
    (event,) = running.events()
    assert_usage(event, recorded, provider="anthropic", model="claude-sonnet-4-5")


@pytest.mark.shows("async")
def test_an_asynchronous_call_is_metered_as_well(server: ReplayServer, running: Meter) -> None:
    recorded = recording(CACHED)
    server.on("/chat/completions", recorded.answer())
    asyncio.run(llm_of(server, "openai/gpt-4o-2024-08-06").acall(PROMPT))
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai", model="gpt-4o-2024-08-06")


@pytest.mark.shows("stream")
@pytest.mark.parametrize("both", [False, True])
def test_a_stream_is_counted_at_its_end(server: ReplayServer, running: Meter, both: bool) -> None:
    if both:
        instrument("openai")
    recorded = recording(STREAM)
    server.on("/chat/completions", recorded.answer())
    llm_of(server, "openai/gpt-4-0613", stream=True).call(PROMPT)
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai")


@pytest.mark.shows("block")
@pytest.mark.parametrize("subject", [{"agent": "researcher"}, {"model": "gpt-4o"}])
def test_a_blocked_call_reaches_the_host_and_not_the_provider(
    server: ReplayServer, running: Meter, subject: dict[str, str]
) -> None:
    running.block(**subject)
    with pytest.raises(meter.CallBlocked) as raised:
        crew_of(llm_of(server)).kickoff()
    assert raised.value.decision is not None
    assert server.requests == []
    assert running.events() == []


@pytest.mark.shows("error")
def test_an_error_of_the_provider_is_one_event(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", Answer(status=400, body=b'{"error": {"message": "no"}}'))
    with pytest.raises(Exception, match="no"):
        llm_of(server).call(PROMPT)
    (event,) = running.events()
    assert (event.status, event.provider, event.model) == ("error", "openai", "gpt-4o")


@pytest.mark.shows("retry")
def test_a_retry_inside_the_client_is_one_call(server: ReplayServer, running: Meter) -> None:
    recorded = recording(CACHED)
    busy = Answer(status=500, body=b'{"error": {}}', headers={"retry-after-ms": "1"})
    server.on("/chat/completions", busy, recorded.answer())
    llm = LLM(
        model="openai/gpt-4o-2024-08-06", base_url=f"{server.url}/v1", api_key="no", max_retries=1
    )
    llm.call(PROMPT)
    assert len(server.requests) == 2
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai", model="gpt-4o-2024-08-06")


@pytest.mark.shows("concurrent")
def test_crews_that_run_at_a_time_do_not_mix(server: ReplayServer, running: Meter) -> None:
    recorded = recording(PLAIN)
    server.on("/chat/completions", *(recorded.with_id(each).answer() for each in range(40)))
    crews = {number: crew_of(llm_of(server), name=f"agent-{number}") for number in range(1, 5)}

    def run(number: int) -> None:
        with meter.attribute(customer=f"customer-{number}"):
            for _ in range(number):
                crews[number].kickoff()

    threads = [threading.Thread(target=run, args=(number,)) for number in crews]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = [(event.agent, event.session, event.customer) for event in running.events()]
    assert sorted(told) == sorted(
        (f"agent-{number}", str(crews[number].id), f"customer-{number}")
        for number in crews
        for _ in range(number)
    )


def test_a_model_of_the_hosts_own_that_is_defined_later_is_metered(running: Meter) -> None:
    class Own(BaseLLM):  # type: ignore[misc]  # it has no types here
        def call(self, messages: object, **_: object) -> str:
            self._track_token_usage_internal({"input_tokens": 20, "output_tokens": 3})
            return "hello"

    assert Own(model="own-1", provider="mine").call(PROMPT) == "hello"
    (event,) = running.events()
    assert (event.provider, event.model) == ("mine", "own-1")
    assert (event.input_tokens, event.output_tokens, event.usage_missing) == (20, 3, False)


def test_a_model_that_says_nothing_is_never_free(running: Meter) -> None:
    class Silent(BaseLLM):  # type: ignore[misc]  # it has no types here
        def call(self, messages: object, **_: object) -> str:
            return "hello"

    Silent(model="own-1").call(PROMPT)
    (event,) = running.events()
    assert event.usage_missing


@pytest.mark.parametrize("also", ["", "litellm", "openai"])
def test_a_model_that_is_asked_by_litellm_is_counted_once(
    server: ReplayServer, running: Meter, also: str
) -> None:
    if also:
        instrument(also)
    recorded = recording(CACHED)
    server.on("/chat/completions", recorded.answer())
    llm_of(server, "openai/gpt-4o-2024-08-06", is_litellm=True).call(PROMPT)
    (event,) = running.events()
    assert_usage(event, recorded, provider="openai", model="gpt-4o-2024-08-06")


def test_an_asynchronous_crew_is_metered_and_blocked(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", recording(PLAIN).answer(), recording(PLAIN).with_id(2).answer())
    crew = crew_of(llm_of(server))

    async def runs() -> None:
        await crew.akickoff()
        await crew.kickoff_async()
        running.block(agent="researcher")
        with pytest.raises(meter.CallBlocked):
            await crew.akickoff()
        with pytest.raises(meter.CallBlocked):
            await crew.kickoff_async()

    asyncio.run(runs())
    assert len(server.requests) == 2
    assert [event.agent for event in running.events()] == ["researcher", "researcher"]


def test_a_crew_that_streams_is_counted_at_its_end(server: ReplayServer, running: Meter) -> None:
    server.on("/chat/completions", recording(STREAM).answer())
    crew = crew_of(llm_of(server, "openai/gpt-4-0613"))
    crew.stream = True
    with meter.attribute(customer="mine"):
        assert list(crew.kickoff())
    (event,) = running.events()
    assert_usage(event, recording(STREAM), provider="openai")
    assert (event.agent, event.customer) == ("researcher", "mine")
