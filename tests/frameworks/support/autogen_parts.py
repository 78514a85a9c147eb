"""AutoGen's clients, agents and teams on a replayed provider."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core.models import UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient

from answering import ReplayServer
from canary import PROMPT
from tollway.contract.usage import UsageEvent
from tollway.producers.testing import Meter

__all__ = [
    "CACHED",
    "CALLS_TOOL",
    "PLAIN",
    "STREAM",
    "Framework",
    "client_of",
    "create",
    "of_kind",
    "read",
    "read_on",
    "researcher",
    "stream",
    "team_of",
]

PLAIN = "openai/chat_completions__plain__gpt-4o-mini__de705"
# It calls the tool get_image, without arguments.
CALLS_TOOL = "chat_completions__tools__gpt-4o__73a2c"
CACHED = "openai/chat_completions__cached__gpt-4o__43c40"
STREAM = "chat_completions__stream__gpt-4__6d197"
# The framework has no types where these tests are checked.
Framework = Any


def client_of(server: ReplayServer, model: str = "gpt-4o-mini", retries: int = 0) -> Framework:
    return OpenAIChatCompletionClient(
        model=model, base_url=f"{server.url}/v1", api_key="none", max_retries=retries
    )


async def create(client: Framework) -> Framework:
    return await client.create([UserMessage(content=PROMPT, source="user")])


def stream(client: Framework) -> AsyncGenerator[Framework, None]:
    chunks: AsyncGenerator[Framework, None] = client.create_stream(
        [UserMessage(content=PROMPT, source="user")]
    )
    return chunks


async def read(chunks: AsyncGenerator[Framework, None]) -> list[Framework]:
    return [chunk async for chunk in chunks]


def researcher(client: Framework, *tools: Framework, **more: object) -> Framework:
    return AssistantAgent("researcher", client, tools=list(tools) or None, **more)


def of_kind(running: Meter, kind: str) -> list[UsageEvent]:
    return [event for event in running.events() if event.kind == kind]


def team_of(*agents: Framework) -> Framework:
    return RoundRobinGroupChat(list(agents), termination_condition=MaxMessageTermination(3))


async def read_on(chunks: AsyncGenerator[Framework, None], begun: asyncio.Event) -> None:
    async for _ in chunks:
        begun.set()
