"""Anthropic's SDK, asked at a replayed provider."""

from typing import Any

from anthropic import Anthropic, AsyncAnthropic

from answering import ReplayServer
from canary import PROMPT

__all__ = ["LACKS", "MESSAGES", "ask", "async_client_of", "client_of"]

# What the SDK takes and gives; it has no types where these tests are checked.
Options = Any
Answered = Any
LACKS = {"agent name": "a provider's SDK knows of no agents; `meter.session` names one"}
MESSAGES: Any = [{"role": "user", "content": PROMPT}]


def client_of(server: ReplayServer, **more: Options) -> Anthropic:
    return Anthropic(api_key="test", base_url=server.url, **{"max_retries": 0, **more})


def async_client_of(server: ReplayServer) -> AsyncAnthropic:
    return AsyncAnthropic(api_key="test", base_url=server.url, max_retries=0)


def ask(client: Anthropic, **more: Options) -> Answered:
    return client.messages.create(
        model="claude-sonnet-4-5", max_tokens=100, messages=MESSAGES, **more
    )
