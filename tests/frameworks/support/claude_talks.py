"""Turns of an agent that are played to the SDK."""

from typing import Any

from claude_agent_sdk import query

from canary import PROMPT
from claude_code import MODEL, FakeClaudeCode, Script, assistant, result, total
from tollway.contract.usage import UsageEvent
from tollway.producers.testing import Meter

__all__ = [
    "TOOL_USE",
    "Framework",
    "asked",
    "hello",
    "of_kind",
    "talking",
]

# The framework has no types where these tests are checked.
Framework = Any
TOOL_USE = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}}


def of_kind(running: Meter, kind: str) -> list[UsageEvent]:
    return [event for event in running.events() if event.kind == kind]


async def asked(program: FakeClaudeCode, options: Framework = None) -> list[Framework]:
    return [each async for each in query(prompt=PROMPT, options=options, transport=program)]


async def hello(program: FakeClaudeCode) -> None:
    program.say(assistant("msg_1", input_tokens=10, output_tokens=5))
    program.say(result(**{MODEL: total(inputTokens=10, outputTokens=5)}))


def talking(number: int) -> Script:
    async def turn(program: FakeClaudeCode) -> None:
        said = assistant(f"msg_{number}", input_tokens=number, output_tokens=5)
        program.say({**said, "session_id": f"talk-{number}"})
        given = {"command": f"{number}"}
        await program.tool("Bash", number, given, "seen")
        program.say(result(**{MODEL: total(inputTokens=number, outputTokens=5)}))

    return turn
