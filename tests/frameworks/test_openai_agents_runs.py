"""The OpenAI Agents SDK attached, against recorded responses: what belongs to which run."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from agents import (
    Agent,
    GuardrailFunctionOutput,
    InputGuardrail,
    ModelRetrySettings,
    ModelSettings,
    RunConfig,
    Runner,
    SQLiteSession,
    retry_policies,
    set_trace_processors,
)

from agents_sdk import (
    CHAT,
    CHAT_STREAM,
    MODEL,
    RESPONSE,
    RESPONSE_TOOL,
    Tools,
    llm,
    responses_agent,
    streamed,
)
from answering import Answer, ReplayServer
from canary import PROMPT
from metered_once import assert_usage
from recordings import recording
from tollway import meter
from tollway.producers.adapters import instrument
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("openai_agents")


@pytest.fixture(autouse=True)
def untraced() -> None:
    """Traces go on, and nowhere: the SDK's own exporter sends them to its vendor."""
    set_trace_processors([])


@pytest.fixture
def tools() -> Tools:
    return Tools()


def test_a_handoff_changes_whose_calls_they_are(server: ReplayServer, running: Meter) -> None:
    asks = recording(RESPONSE_TOOL).edited(
        lambda body: body["output"][0].update(name="transfer_to_writer", arguments="{}")
    )
    server.on(asks.path, asks.answer(), recording(RESPONSE).answer())
    writer = responses_agent(server, "writer")
    agent = responses_agent(server, "researcher", handoffs=[writer])

    asyncio.run(Runner.run(agent, PROMPT))

    assert [event.agent for event in llm(running)] == ["researcher", "writer"]
    assert len({event.session for event in llm(running)}) == 1


@pytest.mark.parametrize("traced", [True, False])
def test_an_agent_that_is_a_tool_has_its_own_name_and_the_same_session(
    traced: bool, server: ReplayServer, running: Meter
) -> None:
    asks = recording(RESPONSE_TOOL).edited(
        lambda body: body["output"][0].update(name="ask_writer", arguments='{"input": "go"}')
    )
    server.on(
        asks.path,
        asks.answer(),
        recording(RESPONSE).with_id(1).answer(),
        recording(RESPONSE).with_id(2).answer(),
    )
    writer = responses_agent(server, "writer").as_tool("ask_writer", "Asks the writer.")
    agent = responses_agent(server, "researcher", tools=[writer])

    asyncio.run(Runner.run(agent, PROMPT, run_config=RunConfig(tracing_disabled=not traced)))

    kinds = [(event.kind, event.agent, event.tool) for event in running.events()]
    assert kinds == [
        ("llm", "researcher", None),
        ("llm", "writer", None),
        ("tool", "researcher", "ask_writer"),
        ("llm", "researcher", None),
    ]
    assert len({event.session for event in running.events()}) == 1
    assert running.events()[0].session


@pytest.mark.parametrize("told", ["group", "session"])
def test_runs_of_one_conversation_are_one_session(
    told: str, server: ReplayServer, running: Meter
) -> None:
    server.on("/responses", *(recording(RESPONSE).with_id(n).answer() for n in range(2)))
    options: dict[str, Any] = {"run_config": RunConfig(group_id="conversation-1")}
    if told == "session":
        options = {"session": SQLiteSession("conversation-1")}

    async def run() -> None:
        for agent in ("researcher", "writer"):
            await Runner.run(responses_agent(server, agent), PROMPT, **options)

    asyncio.run(run())

    assert [(event.agent, event.session) for event in running.events()] == [
        ("researcher", "conversation-1"),
        ("writer", "conversation-1"),
    ]


def test_a_guardrail_that_asks_a_model_meanwhile_is_its_own_agents(
    server: ReplayServer, running: Meter
) -> None:
    server.on("/responses", *(recording(RESPONSE).with_id(n).answer() for n in range(2)))
    guard = responses_agent(server, "guard")

    async def harmless(context: object, agent: Agent, given: object) -> GuardrailFunctionOutput:
        await Runner.run(guard, PROMPT)
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered=False)

    agent = responses_agent(server, "researcher", input_guardrails=[InputGuardrail(harmless)])

    asyncio.run(Runner.run(agent, PROMPT))

    assert sorted(event.agent for event in running.events()) == ["guard", "researcher"]
    assert len({event.session for event in running.events()}) == 1


def test_a_retry_of_the_runners_own_is_a_second_call(server: ReplayServer, running: Meter) -> None:
    recorded = recording(RESPONSE)
    server.on(recorded.path, Answer(status=503, body=b"{}"), recorded.answer())
    retry = ModelRetrySettings(
        max_retries=2, policy=retry_policies.http_status([503]), backoff={"initial_delay": 0.0}
    )
    agent = responses_agent(server, model_settings=ModelSettings(retry=retry))

    asyncio.run(Runner.run(agent, PROMPT))

    failed, answered = running.events()
    assert (failed.status, failed.agent) == ("error", "researcher")
    assert_usage(answered, recorded, provider="openai", model=MODEL)
    assert (answered.agent, answered.session) == ("researcher", failed.session)


def test_a_block_is_not_retried(server: ReplayServer, running: Meter) -> None:
    running.block(agent="researcher")
    asked: list[object] = []

    def always(context: object) -> bool:
        asked.append(context)
        return True

    retry = ModelRetrySettings(max_retries=3, policy=always)
    agent = responses_agent(server, model_settings=ModelSettings(retry=retry))

    with pytest.raises(meter.CallBlocked):
        asyncio.run(Runner.run(agent, PROMPT))

    assert asked == []
    assert server.requests == []


def test_a_session_that_is_spent_stops_its_run_between_two_turns(
    server: ReplayServer, running: Meter, tools: Tools
) -> None:
    asks = recording(RESPONSE_TOOL)
    server.on(asks.path, asks.answer())
    agent = responses_agent(server, tools=[tools.weather()])

    async def run() -> None:
        with meter.session(budget="0.000001"):
            await Runner.run(agent, PROMPT)

    with pytest.raises(meter.CallBlocked):
        asyncio.run(run())

    assert len(server.requests) == 1
    assert tools.ran == []


def test_runs_in_threads_keep_their_sessions(server: ReplayServer, running: Meter) -> None:
    server.on("/responses", *(recording(RESPONSE).with_id(n).answer() for n in range(8)))

    def run(number: int) -> object:
        with meter.session(session=f"session-{number}", agent=f"agent-{number}") as session:
            Runner.run_sync(responses_agent(server), PROMPT)
            return session.report()["breakdown"]["llm"]["calls"]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(4))) == [1, 1, 1, 1]

    assert sorted((event.agent, event.session) for event in llm(running)) == [
        (f"agent-{number}", f"session-{number}") for number in range(4)
    ]


@pytest.mark.parametrize("also", [(), ("litellm",)])
@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_model_that_another_library_asks_is_one_call_of_its_provider(
    is_streamed: bool, also: tuple[str, ...], server: ReplayServer, running: Meter
) -> None:
    from agents.extensions.models.litellm_model import LitellmModel

    for name in also:
        instrument(name)
    recorded = recording(CHAT_STREAM if is_streamed else CHAT)
    server.on(recorded.path, recorded.answer())
    model = LitellmModel(f"openai/{MODEL}", base_url=f"{server.url}/v1", api_key="none")
    # Else the SDK does not ask for the usage of a stream, where the server is not OpenAI's.
    settings = ModelSettings(include_usage=True)
    agent = Agent(name="researcher", model=model, model_settings=settings)

    asyncio.run(streamed(agent) if is_streamed else Runner.run(agent, PROMPT))

    [event] = llm(running)
    assert_usage(event, recorded, provider="openai", model=event.model or "")
    assert event.agent == "researcher"
    assert (event.model or "").startswith("gpt-4")


@pytest.mark.parametrize("also", [(), ("openai",)])
def test_a_run_that_is_cancelled_while_it_waits_is_one_aborted_call(
    also: tuple[str, ...], server: ReplayServer, running: Meter
) -> None:
    for name in also:
        instrument(name)
    recorded = recording(RESPONSE)
    server.on(recorded.path, Answer(events=(recorded.body,), hold_after=0))

    async def cancel() -> None:
        run = asyncio.create_task(Runner.run(responses_agent(server), PROMPT))
        while not server.requests:
            await asyncio.sleep(0)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    asyncio.run(asyncio.wait_for(cancel(), 20))

    [event] = running.events()
    assert (event.status, event.usage_missing, event.agent) == ("aborted", True, "researcher")
