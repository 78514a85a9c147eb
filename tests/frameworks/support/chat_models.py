"""LangChain's model of OpenAI, asking the local server."""

from typing import Any

from langchain_openai import ChatOpenAI

from answering import ReplayServer
from tollway.contract.usage import UsageEvent
from tollway.producers.testing import Meter

__all__ = ["PLAIN", "STREAM", "model", "the_event"]

PLAIN = "chat_completions__plain__gpt-4o__0f050"
STREAM = "chat_completions__stream__gpt-4__6d197"


def model(server: ReplayServer, **more: Any) -> ChatOpenAI:  # noqa: ANN401 (whatever it takes)
    settings = {"model": "gpt-4o", "max_retries": 0, "api_key": "none", **more}
    return ChatOpenAI(base_url=f"{server.url}/v1", **settings)


def the_event(running: Meter) -> UsageEvent:
    (event,) = running.events()
    return event
