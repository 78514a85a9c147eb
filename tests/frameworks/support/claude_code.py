"""A program in the place of Claude Code: it speaks its protocol over the SDK's own transport."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Final

from claude_agent_sdk import Transport

__all__ = [
    "MODEL",
    "FakeClaudeCode",
    "Script",
    "assistant",
    "result",
    "stream_event",
    "total",
    "user",
]

MODEL: Final = "claude-sonnet-4-5-20250929"
# What Claude Code says, and what it is told.
Document = dict[str, Any]
# One turn: what the program does once it has been prompted.
Script = Callable[["FakeClaudeCode"], Coroutine[Any, Any, None]]


class FakeClaudeCode(Transport):  # type: ignore[misc]  # it has no types here
    """Plays one script a prompt. `prompts` are those that reached it."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)
        self._out: asyncio.Queue[Document] = asyncio.Queue()
        self._turn: asyncio.Task[None] | None = None
        self._callbacks: dict[str, list[str]] = {}
        self._answers: dict[str, Document] = {}
        self._answered = asyncio.Event()
        self.connected = False
        self.prompts: list[str] = []

    async def connect(self) -> None:
        self.connected = True

    async def write(self, data: str) -> None:
        for line in data.splitlines():
            await self._told(json.loads(line))

    async def _told(self, said: Document) -> None:
        if said["type"] == "control_request":
            await self._control(said)
        elif said["type"] == "control_response":
            self._answers[said["response"]["request_id"]] = said["response"]
            self._answered.set()
        elif said["type"] == "user":
            self.prompts.append(said["message"]["content"])
            self._turn = asyncio.create_task(self._scripts.pop(0)(self))

    async def _control(self, said: Document) -> None:
        request = said["request"]
        if request["subtype"] == "initialize":
            for event, matchers in (request.get("hooks") or {}).items():
                ids = [each for matcher in matchers for each in matcher["hookCallbackIds"]]
                self._callbacks[event] = ids
        answer = {"subtype": "success", "request_id": said["request_id"], "response": {}}
        self.say({"type": "control_response", "response": answer})

    def say(self, document: Document) -> None:
        self._out.put_nowait(document)

    async def hooked(self, event: str, given: Document) -> list[Document]:
        """Asks the SDK's hooks, as the program does around tools; what each answers."""
        answers = []
        for number, callback in enumerate(self._callbacks.get(event, ())):
            name = f"{event}-{given.get('tool_use_id')}-{number}-{len(self._answers)}"
            request = {
                "subtype": "hook_callback",
                "callback_id": callback,
                "input": {"hook_event_name": event, "session_id": "talk-1", **given},
                "tool_use_id": given.get("tool_use_id"),
            }
            self.say({"type": "control_request", "request_id": name, "request": request})
            while name not in self._answers:
                self._answered.clear()
                await self._answered.wait()
            answers.append(self._answers[name].get("response") or {})
        return answers

    async def tool(self, name: str, number: int, given: Document, gives: object) -> bool:
        """Calls a tool between its hooks; whether a hook let it run."""
        told = {"tool_name": name, "tool_input": given, "tool_use_id": f"toolu_{number}"}
        answers = await self.hooked("PreToolUse", told)
        if any(answer.get("continue") is False for answer in answers):
            return False
        if isinstance(gives, Exception):
            await self.hooked("PostToolUseFailure", {**told, "error": str(gives)})
        else:
            await self.hooked("PostToolUse", {**told, "tool_response": gives, "duration_ms": 7})
        return True

    async def read_messages(self) -> AsyncGenerator[Document, None]:
        while (document := await self._out.get())["type"] != "_end":
            yield document

    async def close(self) -> None:
        self.connected = False
        if self._turn is not None:
            self._turn.cancel()

    def is_ready(self) -> bool:
        return self.connected

    async def end_input(self) -> None:
        self.say({"type": "_end"})


def assistant(
    response_id: str, *blocks: Document, parent: str | None = None, **usage: int
) -> Document:
    """One part of a response: several with one id are one response."""
    message = {
        "id": response_id,
        "role": "assistant",
        "model": MODEL,
        "content": list(blocks) or [{"type": "text", "text": "hello"}],
        "usage": {"input_tokens": 0, "output_tokens": 0, **usage},
    }
    return {
        "type": "assistant",
        "message": message,
        "session_id": "talk-1",
        "parent_tool_use_id": parent,
    }


def stream_event(event: Document) -> Document:
    return {"type": "stream_event", "uuid": "u", "session_id": "talk-1", "event": event}


def user(text: str = "ok") -> Document:
    return {"type": "user", "message": {"role": "user", "content": text}, "session_id": "talk-1"}


def result(**totals: Document) -> Document:
    """The end of a turn, with the connection's totals by model."""
    return {
        "type": "result",
        "subtype": "success",
        "duration_ms": 1,
        "duration_api_ms": 1,
        "is_error": False,
        "num_turns": 1,
        "session_id": "talk-1",
        # Not to be trusted, and not trusted.
        "total_cost_usd": 99.0,
        "modelUsage": totals,
    }


def total(**counts: int) -> Document:
    """What a connection has used of one model."""
    return {"inputTokens": 0, "outputTokens": 0, "costUSD": 99.0, **counts}
