"""Agents of Microsoft's framework on a replayed provider."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from agent_framework import Agent
from agent_framework.openai import OpenAIChatClient, OpenAIChatCompletionClient
from openai import AsyncOpenAI

from answering import ReplayServer
from tollway.contract.usage import UsageEvent
from tollway.producers.testing import Meter

__all__ = [
    "CALLS_TOOL",
    "PLAIN",
    "RESPONSE",
    "RESPONSE_STREAM",
    "STREAM",
    "Framework",
    "answer",
    "chat",
    "of_kind",
    "read",
    "read_on",
    "researcher",
    "responses",
    "sdk",
]

PLAIN = "openai/chat_completions__plain__gpt-4o-mini__de705"
# It calls the tool get_image, without arguments.
CALLS_TOOL = "chat_completions__tools__gpt-4o__73a2c"
STREAM = "chat_completions__stream__gpt-4__6d197"
RESPONSE = "openai/responses__cached__gpt-4.1__2cc08"
RESPONSE_STREAM = "openai/responses__stream__gpt-4o-mini__c0ec6"
# The framework has no types where these tests are checked.
Framework = Any


def sdk(server: ReplayServer, retries: int = 0) -> AsyncOpenAI:
    return AsyncOpenAI(api_key="none", base_url=f"{server.url}/v1", max_retries=retries)


def chat(server: ReplayServer, retries: int = 0) -> OpenAIChatCompletionClient:
    return OpenAIChatCompletionClient(model="gpt-4o", async_client=sdk(server, retries))


def responses(server: ReplayServer) -> OpenAIChatClient:
    return OpenAIChatClient(model="gpt-4.1", async_client=sdk(server))


def researcher(client: Framework, **more: object) -> Agent:
    return Agent(client, name="researcher", **more)


def answer(asked: Awaitable[Framework]) -> Framework:
    async def awaited() -> Framework:
        return await asked

    return asyncio.run(awaited())


def of_kind(running: Meter, kind: str) -> list[UsageEvent]:
    return [event for event in running.events() if event.kind == kind]


async def read(agent: Framework, prompt: str) -> list[Framework]:
    return [update async for update in agent.run(prompt, stream=True)]


async def read_on(stream: Framework, begun: asyncio.Event) -> None:
    async for _ in stream:
        begun.set()
