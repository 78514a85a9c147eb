"""Crews on a replayed provider."""

import os
from typing import Any

# Before CrewAI is imported: it would tell its maker of every run, and LiteLLM ask for prices.
os.environ.update(CREWAI_DISABLE_TELEMETRY="true", LITELLM_LOCAL_MODEL_COST_MAP="true")

from crewai import LLM, Agent, Crew, Task

from answering import ReplayServer
from canary import PROMPT
from tollway.contract.usage import UsageEvent
from tollway.producers.testing import Meter

__all__ = [
    "CACHED",
    "CALLS_TOOL",
    "MESSAGE",
    "PLAIN",
    "STREAM",
    "Framework",
    "crew_of",
    "llm_of",
    "of_kind",
]

CACHED = "openai/chat_completions__cached__gpt-4o__43c40"
PLAIN = "openai/chat_completions__plain__gpt-4o-mini__de705"
# It calls the tool get_image, without arguments.
CALLS_TOOL = "chat_completions__tools__gpt-4o__73a2c"
STREAM = "chat_completions__stream__gpt-4__6d197"
MESSAGE = "messages__cached__claude-sonnet-4-5__6a4a8"
# The framework has no types where these tests are checked.
Framework = Any


def llm_of(server: ReplayServer, model: str = "openai/gpt-4o", **more: object) -> Framework:
    return LLM(model=model, base_url=f"{server.url}/v1", api_key="none", max_retries=0, **more)


def crew_of(llm: Framework, *tools: Framework, name: str = "researcher") -> Framework:
    agent = Agent(
        role=name, goal="find out", backstory="curious", llm=llm, tools=list(tools), verbose=False
    )
    task = Task(name="greet", description=PROMPT, expected_output="a word", agent=agent)
    return Crew(agents=[agent], tasks=[task], verbose=False)


def of_kind(running: Meter, kind: str) -> list[UsageEvent]:
    return [event for event in running.events() if event.kind == kind]
