"""Agents of the OpenAI Agents SDK whose models are asked at a local server, and their tools."""

from typing import Any, Final

from agents import (
    Agent,
    AsyncOpenAI,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    Tool,
    function_tool,
)

from answering import ReplayServer
from canary import CANARY, PROMPT
from recordings import Recording, recording
from tollway.contract.usage import UsageEvent
from tollway.producers.testing import Meter

__all__ = [
    "CHAT",
    "CHAT_STREAM",
    "MODEL",
    "RESPONSE",
    "RESPONSE_STREAM",
    "RESPONSE_TOOL",
    "Tools",
    "chat_agent",
    "client",
    "llm",
    "responses_agent",
    "streamed",
    "used_tools",
    "with_tool",
]

MODEL: Final = "gpt-4o-mini"
RESPONSE: Final = "responses__plain__gpt-4o-mini__5ad30"
RESPONSE_TOOL: Final = "responses__tools__gpt-4.1-nano__ba031"
RESPONSE_STREAM: Final = "responses__stream__gpt-4o__d03a3"
CHAT: Final = "chat_completions__plain__gpt-4o-mini__de705"
CHAT_STREAM: Final = "chat_completions__stream__gpt-4__6d197"
_CHAT_TOOL: Final = "chat_completions__tools__gpt-4o__73a2c"

Sdk = Any  # the SDK has no types here


class Tools:
    """What the recorded responses call, and whether they did."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.failure: Exception | None = None

    def weather(self, **options: Sdk) -> Tool:
        async def get_weather(location: str = "") -> str:
            """The weather."""
            self.ran.append(location)
            if self.failure is not None:
                raise self.failure
            return f"{CANARY}: rain in {location}"

        return function_tool(get_weather, **options)


def client(server: ReplayServer, retries: int = 0) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=retries)


def responses_agent(server: ReplayServer, name: str = "researcher", **more: Sdk) -> Agent:
    return Agent(name=name, model=OpenAIResponsesModel(MODEL, client(server)), **more)


def chat_agent(server: ReplayServer, name: str = "researcher", **more: Sdk) -> Agent:
    return Agent(name=name, model=OpenAIChatCompletionsModel(MODEL, client(server)), **more)


async def streamed(agent: Agent, **more: Sdk) -> list[str]:
    run = Runner.run_streamed(agent, PROMPT, **more)
    return [event.type async for event in run.stream_events()]


def with_tool(server: ReplayServer, api: str = "responses") -> tuple[Recording, Recording]:
    """The model asks for the weather of Paris, then answers.

    Of chat completions the name and the arguments of the recorded call are edited.
    """
    if api == "responses":
        asks, answers = recording(RESPONSE_TOOL), recording(RESPONSE)
    else:
        asks, answers = recording(_CHAT_TOOL), recording(CHAT)
        asks = asks.edited(
            lambda body: body["choices"][0]["message"]["tool_calls"][0]["function"].update(
                name="get_weather", arguments='{"location":"Paris"}'
            )
        )
    server.on(asks.path, asks.answer(), answers.answer())
    return asks, answers


def llm(running: Meter) -> list[UsageEvent]:
    return [event for event in running.events() if event.kind == "llm"]


def used_tools(running: Meter) -> list[UsageEvent]:
    return [event for event in running.events() if event.kind == "tool"]
