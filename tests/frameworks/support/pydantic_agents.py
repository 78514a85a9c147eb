"""Agents of Pydantic AI whose models are asked at a local server, and their tool."""

from typing import Any, Final

from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models import Model
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider

from answering import ReplayServer
from canary import CANARY
from recordings import Recording, recording
from tollway.contract.usage import UsageEvent
from tollway.producers.testing import Meter

__all__ = [
    "CHAT",
    "CHAT_STREAM",
    "CHAT_TOOL",
    "GEMINI",
    "GEMINI_STREAM",
    "MODEL",
    "RESPONSE",
    "RESPONSE_STREAM",
    "Weather",
    "chat",
    "gemini",
    "llm",
    "openai_provider",
    "researcher",
    "responses",
    "used_tools",
    "with_tool",
]

Framework = Any  # it has no types here

MODEL: Final = "gpt-4o-mini"
CHAT: Final = "chat_completions__plain__gpt-4o-mini__de705"
CHAT_TOOL: Final = "chat_completions__tools__gpt-4o__73a2c"
CHAT_STREAM: Final = "chat_completions__stream__gpt-4__6d197"
RESPONSE: Final = "responses__plain__gpt-4o-mini__5ad30"
RESPONSE_STREAM: Final = "responses__stream__gpt-4o__d03a3"
GEMINI: Final = "generate_content__plain__gemini-2.0-flash__ae9a7"
GEMINI_STREAM: Final = "stream_generate_content__stream__gemini-2.0-flash__6a6a5"


def openai_provider(server: ReplayServer, retries: int = 0) -> OpenAIProvider:
    client = AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=retries)
    return OpenAIProvider(openai_client=client)


def chat(server: ReplayServer) -> Model:
    return OpenAIChatModel(MODEL, provider=openai_provider(server))


def responses(server: ReplayServer) -> Model:
    return OpenAIResponsesModel(MODEL, provider=openai_provider(server))


def gemini(server: ReplayServer) -> Model:
    provider = GoogleProvider(api_key="none", base_url=server.url)
    return GoogleModel("gemini-2.0-flash", provider=provider)


def researcher(model: Model, **more: Framework) -> Agent:
    return Agent(model, name="researcher", **more)


def llm(running: Meter) -> list[UsageEvent]:
    return [event for event in running.events() if event.kind == "llm"]


def used_tools(running: Meter) -> list[UsageEvent]:
    return [event for event in running.events() if event.kind == "tool"]


def with_tool(server: ReplayServer) -> tuple[Recording, Recording]:
    """The model asks for the weather of Paris, then answers."""
    asks = recording(CHAT_TOOL).edited(
        lambda body: body["choices"][0]["message"]["tool_calls"][0]["function"].update(
            name="get_weather", arguments='{"location":"Paris"}'
        )
    )
    answers = recording(CHAT)
    server.on(asks.path, asks.answer(), answers.answer())
    return asks, answers


class Weather:
    """A tool, and whether it ran."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.ran: list[str] = []
        self._failure = failure

    async def get_weather(self, location: str) -> str:
        self.ran.append(location)
        if self._failure is not None:
            raise self._failure
        return f"{CANARY}: rain in {location}"
