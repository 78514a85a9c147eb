"""The OpenAI Agents SDK against recorded responses: attached, and by its hooks alone."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import openai
import pytest
from agents import (
    Agent,
    AsyncOpenAI,
    Model,
    ModelResponse,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RunConfig,
    RunHooks,
    Runner,
    Tool,
    Usage,
    function_tool,
    set_trace_processors,
    trace,
)
from agents.mcp import MCPServerStdio

from answering import Answer, ReplayServer
from canary import CANARY, PROMPT
from metered_once import assert_usage, cost_pico, expected_pico
from recordings import Recording, recording
from tollway import meter
from tollway.contract.usage import UsageEvent
from tollway.producers.adapters import instrument, uninstrument
from tollway.producers.adapters.openai_agents import run_hooks
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("openai_agents")

MODEL = "gpt-4o-mini"
RESPONSE = "responses__plain__gpt-4o-mini__5ad30"
RESPONSE_TOOL = "responses__tools__gpt-4.1-nano__ba031"
RESPONSE_STREAM = "responses__stream__gpt-4o__d03a3"
CHAT = "chat_completions__plain__gpt-4o-mini__de705"
CHAT_TOOL = "chat_completions__tools__gpt-4o__73a2c"
CHAT_STREAM = "chat_completions__stream__gpt-4__6d197"


@pytest.fixture(autouse=True)
def untraced() -> None:
    """Traces go on, and nowhere: the SDK's own exporter sends them to its vendor."""
    set_trace_processors([])


class Tools:
    """What the recorded responses call, and whether they did."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.failure: Exception | None = None

    def weather(self, name: str = "get_weather", **options: Any) -> Tool:  # noqa: ANN401 (the SDK's)
        async def get_weather(location: str = "") -> str:
            """The weather."""
            self.ran.append(location)
            if self.failure is not None:
                raise self.failure
            return f"{CANARY}: rain in {location}"

        return function_tool(get_weather, name_override=name, **options)


@pytest.fixture
def tools() -> Tools:
    return Tools()


def client(server: ReplayServer, retries: int = 0) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=retries)


def responses_agent(server: ReplayServer, name: str = "researcher", **more: Any) -> Agent:  # noqa: ANN401 (the SDK's)
    return Agent(name=name, model=OpenAIResponsesModel(MODEL, client(server)), **more)


def chat_agent(server: ReplayServer, name: str = "researcher", **more: Any) -> Agent:  # noqa: ANN401 (the SDK's)
    return Agent(name=name, model=OpenAIChatCompletionsModel(MODEL, client(server)), **more)


async def streamed(agent: Agent, **more: Any) -> list[str]:  # noqa: ANN401 (the SDK's)
    run = Runner.run_streamed(agent, PROMPT, **more)
    return [event.type async for event in run.stream_events()]


def llm(running: Meter) -> list[UsageEvent]:
    return [event for event in running.events() if event.kind == "llm"]


def used_tools(running: Meter) -> list[UsageEvent]:
    return [event for event in running.events() if event.kind == "tool"]


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


def with_tool(server: ReplayServer, api: str = "responses") -> tuple[Recording, Recording]:
    """The model asks for the weather of Paris, then answers."""
    if api == "responses":
        asks, answers = recording(RESPONSE_TOOL), recording(RESPONSE)
    else:
        asks, answers = recording(CHAT_TOOL), recording(CHAT)
        asks = asks.edited(
            lambda body: body["choices"][0]["message"]["tool_calls"][0]["function"].update(
                name="get_weather", arguments='{"location":"Paris"}'
            )
        )
    server.on(asks.path, asks.answer(), answers.answer())
    return asks, answers


@pytest.mark.shows("tool")
@pytest.mark.parametrize("api", ["responses", "chat"])
def test_a_tool_is_an_event_between_two_of_the_model(
    api: str, server: ReplayServer, running: Meter, tools: Tools
) -> None:
    asks, answers = with_tool(server, api)
    make = responses_agent if api == "responses" else chat_agent

    asyncio.run(Runner.run(make(server, tools=[tools.weather()]), PROMPT))

    assert tools.ran == ["Paris"]
    first, tool, second = running.events()
    assert_usage(first, asks, provider="openai", model=MODEL)
    assert first.tool_calls == 1
    assert (tool.kind, tool.tool, tool.agent, tool.status) == (
        "tool",
        "get_weather",
        "researcher",
        "ok",
    )
    assert tool.args_hash
    assert tool.result_hash
    # 25 characters, at about 4 a token.
    assert tool.result_tokens == 6
    assert_usage(second, answers, provider="openai", model=MODEL)
    assert {event.session for event in running.events()} == {first.session}
    assert first.session


def test_a_blocked_tool_is_not_run(server: ReplayServer, running: Meter, tools: Tools) -> None:
    with_tool(server)
    running.block(tool="get_weather")

    with pytest.raises(meter.CallBlocked):
        asyncio.run(Runner.run(responses_agent(server, tools=[tools.weather()]), PROMPT))

    assert tools.ran == []
    assert len(server.requests) == 1
    assert used_tools(running) == []


@pytest.mark.parametrize("failure_text", [True, False])
def test_a_block_inside_a_tool_is_no_text_for_the_model(
    failure_text: bool, server: ReplayServer, running: Meter
) -> None:
    with_tool(server)
    running.block(model="gpt-5")

    async def get_weather(location: str) -> str:
        """The weather."""
        meter.check(model="gpt-5")
        return "rain"

    options: dict[str, Any] = {} if failure_text else {"failure_error_function": None}
    agent = responses_agent(server, tools=[function_tool(get_weather, **options)])

    with pytest.raises(meter.CallBlocked):
        asyncio.run(Runner.run(agent, PROMPT))

    assert len(server.requests) == 1


@pytest.mark.shows("error")
def test_a_tool_that_failed_is_an_event_that_says_so(
    server: ReplayServer, running: Meter, tools: Tools
) -> None:
    with_tool(server)
    tools.failure = ValueError("no weather")

    asyncio.run(Runner.run(responses_agent(server, tools=[tools.weather()]), PROMPT))

    [tool] = used_tools(running)
    assert (tool.tool, tool.status) == ("get_weather", "error")
    assert len(llm(running)) == 2


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


class Noting(RunHooks):  # type: ignore[misc]  # no types here
    """A host's own hooks."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def on_agent_start(self, context: object, agent: Agent) -> None:
        self.heard.append(f"start {agent.name}")

    async def on_llm_start(self, context: object, agent: Agent, *rest: object) -> None:
        self.heard.append("llm start")

    async def on_llm_end(self, context: object, agent: Agent, response: object) -> None:
        self.heard.append("llm end")

    async def on_tool_start(self, context: object, agent: Agent, tool: Tool) -> None:
        self.heard.append(f"tool {tool.name}")

    async def on_agent_end(self, context: object, agent: Agent, output: object) -> None:
        self.heard.append("end")


HEARD = [
    "start researcher",
    "llm start",
    "llm end",
    "tool get_weather",
    "llm start",
    "llm end",
    "end",
]


@pytest.mark.parametrize("given", ["by instrument", "by the host"])
def test_the_hosts_own_hooks_hear_what_they_heard_before(
    given: str, server: ReplayServer, running: Meter, tools: Tools
) -> None:
    with_tool(server)
    agent = responses_agent(server, tools=[tools.weather()])
    own = Noting()
    hooks = own
    if given == "by the host":
        uninstrument()
        hooks = run_hooks(own)

    asyncio.run(Runner.run(agent, PROMPT, hooks=hooks))

    assert own.heard == HEARD
    assert len(running.events()) == 3


def test_what_are_no_hooks_is_refused_as_before(server: ReplayServer) -> None:
    with pytest.raises(TypeError, match="Run hooks must be instances of RunHooks"):
        asyncio.run(Runner.run(responses_agent(server), PROMPT, hooks="none"))


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


# The hooks alone.


Alone = Callable[..., Coroutine[Any, Any, Any]]


@pytest.fixture
def alone() -> Alone:
    """Runs an agent with our hooks and nothing attached."""
    uninstrument()
    return lambda agent, **more: Runner.run(agent, PROMPT, hooks=run_hooks(), **more)


def test_the_hooks_alone_meter_models_and_tools(
    alone: Alone, server: ReplayServer, running: Meter, tools: Tools
) -> None:
    asks, answers = with_tool(server)

    asyncio.run(alone(responses_agent(server, tools=[tools.weather()])))

    first, tool, second = running.events()
    assert_usage(first, asks, provider="openai", model=MODEL)
    assert (tool.tool, tool.agent, tool.status) == ("get_weather", "researcher", "ok")
    assert_usage(second, answers, provider="openai", model=MODEL)
    assert {event.agent for event in running.events()} == {"researcher"}
    assert len({event.session for event in running.events()}) == 1


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_the_hooks_alone_and_the_sdks_adapter_tell_of_one_call_by_one_id(
    api: str, alone: Alone, server: ReplayServer, running: Meter
) -> None:
    instrument("openai")
    recorded = recording(RESPONSE if api == "responses" else CHAT)
    server.on(recorded.path, recorded.answer())
    agent = responses_agent(server) if api == "responses" else chat_agent(server)

    async def run() -> object:
        with meter.session() as session:
            await alone(agent)
            return session.report()["breakdown"]["llm"]["calls"]

    assert asyncio.run(run()) == 1
    assert len({(event.source, event.id) for event in llm(running)}) == 1


@pytest.mark.parametrize("subject", [{"agent": "researcher"}, {"model": MODEL}])
def test_the_hooks_alone_block_before_anything_is_asked(
    subject: dict[str, str], alone: Alone, server: ReplayServer, running: Meter
) -> None:
    running.block(**subject)

    with pytest.raises(meter.CallBlocked):
        asyncio.run(alone(responses_agent(server)))

    assert server.requests == []


def test_the_hooks_alone_block_a_tool(
    alone: Alone, server: ReplayServer, running: Meter, tools: Tools
) -> None:
    with_tool(server)
    running.block(tool="get_weather")

    with pytest.raises(meter.CallBlocked):
        asyncio.run(alone(responses_agent(server, tools=[tools.weather()])))

    assert tools.ran == []


def test_the_hooks_alone_tell_a_failed_model_once_its_run_is_gone(
    alone: Alone, server: ReplayServer, running: Meter
) -> None:
    server.on("/responses", Answer(status=400, body=b'{"error": {"message": "bad"}}'))

    with pytest.raises(openai.BadRequestError) as raised:
        asyncio.run(alone(responses_agent(server)))
    # It holds the run's frames.
    del raised
    import gc

    gc.collect()

    [event] = running.events()
    assert (event.status, event.usage_missing) == ("aborted", True)


SERVER = """
from mcp.server.fastmcp import FastMCP
server = FastMCP("weather")
@server.tool()
def get_weather(location: str) -> str:
    return "rain in " + location
server.run()
"""


def test_a_tool_of_an_mcp_server_is_one_event_with_both_adapters(
    server: ReplayServer, running: Meter
) -> None:
    import sys

    instrument("mcp")
    with_tool(server)

    async def run() -> None:
        params = {"command": sys.executable, "args": ["-c", SERVER]}
        async with MCPServerStdio(params=params, client_session_timeout_seconds=20) as weather:
            await Runner.run(responses_agent(server, mcp_servers=[weather]), PROMPT)

    asyncio.run(run())

    [tool] = used_tools(running)
    assert (tool.tool, tool.connection, tool.agent) == ("get_weather", "weather", "researcher")


def test_a_blocked_tool_of_an_mcp_server_stops_the_run(
    server: ReplayServer, running: Meter
) -> None:
    import sys

    instrument("mcp")
    with_tool(server)
    running.block(connection="weather")

    async def run() -> None:
        params = {"command": sys.executable, "args": ["-c", SERVER]}
        async with MCPServerStdio(params=params, client_session_timeout_seconds=20) as weather:
            await Runner.run(responses_agent(server, mcp_servers=[weather]), PROMPT)

    with pytest.raises(meter.CallBlocked):
        asyncio.run(run())

    assert len(server.requests) == 1
    assert used_tools(running) == []


def test_a_cached_prompt_costs_what_it_costs(server: ReplayServer, running: Meter) -> None:
    recorded = recording("responses__cached__gpt-4.1__2cc08")
    server.on(recorded.path, recorded.answer())
    agent = Agent(name="researcher", model=OpenAIResponsesModel("gpt-4.1", client(server)))

    asyncio.run(Runner.run(agent, PROMPT))

    [event] = running.events()
    assert event.cache_read_tokens == 1024
    assert cost_pico(event) == expected_pico(recorded, provider="openai", model="gpt-4.1")
