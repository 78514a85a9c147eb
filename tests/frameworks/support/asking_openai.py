"""OpenAI's SDK, asked at a replayed provider."""

from typing import Any

from openai import AsyncOpenAI, OpenAI

from answering import ReplayServer
from canary import PROMPT

__all__ = ["LACKS", "MESSAGES", "ask", "async_client_of", "client_of"]

# What the SDK takes and gives; it has no types where these tests are checked.
Options = Any
Answered = Any
LACKS = {"agent name": "a provider's SDK knows of no agents; `meter.session` names one"}
MESSAGES: Any = [{"role": "user", "content": PROMPT}]


def client_of(server: ReplayServer, **more: Options) -> OpenAI:
    return OpenAI(api_key="test", base_url=f"{server.url}/v1", **{"max_retries": 0, **more})


def async_client_of(server: ReplayServer) -> AsyncOpenAI:
    return AsyncOpenAI(api_key="test", base_url=f"{server.url}/v1", max_retries=0)


def ask(client: OpenAI, **more: Options) -> Answered:
    return client.chat.completions.create(model="gpt-4o", messages=MESSAGES, **more)
