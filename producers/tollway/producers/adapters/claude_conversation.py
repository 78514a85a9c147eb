"""One connection to Claude's agent: its messages counted, its tools asked for, and refusals."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, Final, Self, TypeVar

from tollway.producers import process
from tollway.producers.adapters.claude_turns import PROVIDER, Response, Turns
from tollway.producers.adapters.frames import agent_call, stepped
from tollway.producers.ambient import Fields, carrying, explicit
from tollway.producers.calls import Asked, Call, begin, safely
from tollway.producers.errors import CallBlocked

__all__ = ["Conversation", "Messages"]

FRAMEWORK: Final = "claude_agent_sdk"
# Tools that run at a time, or whose end was never told.
MAX_TOOLS: Final = 1_000
# The SDK's own objects: it is not there when this is type-checked.
Framework = Any
Message = Any
Messages = AsyncGenerator[Any, None]
# What a hook is given, and what it answers, in the SDK's terms.
HookInput = dict[str, Any]
HookOutput = dict[str, Any]
Result = TypeVar("Result")


class Conversation:
    """One connection to Claude's agent: what it uses, its tools, and a refusal not yet told."""

    def __init__(self) -> None:
        self._turns = Turns()
        self._tools: dict[str, Call] = {}
        self._refusal: CallBlocked | None = None
        self._fields: Fields = {}
        # Whether the turn that is to come, or goes on, has been asked for.
        self._asked = False
        self._step = _Step()
        # Hooks run in a task of the connection; a turn belongs to who asked for it.
        self._carried: Callable[..., Any] = _plainly

    def hooks(self) -> dict[str, list[Framework]]:
        """For `ClaudeAgentOptions(hooks=...)`, with or without the host's own."""
        from claude_agent_sdk import HookMatcher

        return {
            "UserPromptSubmit": [HookMatcher(hooks=[self._before_prompt])],
            "PreToolUse": [HookMatcher(hooks=[self._before_tool])],
            "PostToolUse": [HookMatcher(hooks=[self._after_tool])],
            "PostToolUseFailure": [HookMatcher(hooks=[self._after_failure])],
        }

    def ask(self) -> None:
        """Raises `CallBlocked` where the agent may not be asked."""
        self._fields = agent_call(FRAMEWORK, dict).fields
        self._carried = carrying(_plainly)
        self._asked = True

    async def metered(self, messages: Messages) -> Messages:
        """The same messages, each response counted when it is over.

        Raises `CallBlocked` at once, or in the place of the result of a turn that a hook ended.
        """
        # Inside a step of this same conversation: `metered` around `metered` is once.
        nested = self._step.entered
        if not nested and not self._asked:
            self.ask()
        async with aclosing(messages if nested else self._counted(messages)) as passing:
            async for message in passing:
                yield message

    async def _counted(self, messages: Messages) -> Messages:
        with _Passing(self.cut) as passing:
            async with aclosing(stepped(messages, self._step)) as steps:
                async for message in steps:
                    self._read(message)
                    passing.amid_turn = type(message).__name__ != "ResultMessage"
                    if not passing.amid_turn:
                        self._turn_is_over()
                    yield message
            self._turn_is_over()

    def _turn_is_over(self) -> None:
        self._asked = False
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            raise refusal

    def _read(self, message: Message) -> None:
        with safely():
            self._book(self._turns.read(message))
            # A response that there was has been counted: this is the one that did not come.
            if getattr(message, "api_error_status", None):
                self._record({"provider": PROVIDER, "usage_missing": True, "status": "error"})

    def _book(self, responses: list[Response], **more: object) -> None:
        said = explicit()
        for response in responses:
            found = {n: value for n, value in response.found.items() if value and n not in said}
            self._record({**found, **response.usage.fields(), **more})

    def _record(self, fields: Fields) -> None:
        process.soon(partial(process.booked, {**self._fields, **fields}))

    def cut(self, error: BaseException | None) -> None:
        """What is open was used, and more of it, perhaps, than was told."""
        with safely():
            failed = isinstance(error, Exception)
            self._book(self._turns.cut(), status="error" if failed else "aborted")

    async def _before_prompt(
        self, given: HookInput, tool_use_id: str | None, context: object
    ) -> HookOutput:
        try:
            self._carried(agent_call, FRAMEWORK, lambda: {"session": given.get("session_id")})
        except CallBlocked as refusal:
            self._refusal = refusal
            return {**_stopped(refusal), "decision": "block", "reason": str(refusal)}
        return {}

    async def _before_tool(
        self, given: HookInput, tool_use_id: str | None, context: object
    ) -> HookOutput:
        try:
            call = self._carried(begin, lambda: _asked_tool(given))
        except CallBlocked as refusal:
            self._refusal = refusal
            denied = {
                "hookEventName": "PreToolUse",
                "permissionDecision": "deny",
                "permissionDecisionReason": str(refusal),
            }
            return {**_stopped(refusal), "hookSpecificOutput": denied}
        self._tools[given["tool_use_id"]] = call
        if len(self._tools) > MAX_TOOLS:
            self._tools.pop(next(iter(self._tools)))
        return {}

    async def _after_tool(
        self, given: HookInput, tool_use_id: str | None, context: object
    ) -> HookOutput:
        with safely():
            call = self._tools.pop(given["tool_use_id"], None)
            if call is not None:
                self._carried(call.returned, given.get("tool_response"), **_duration(given))
        return {}

    async def _after_failure(
        self, given: HookInput, tool_use_id: str | None, context: object
    ) -> HookOutput:
        with safely():
            call = self._tools.pop(given["tool_use_id"], None)
            if call is not None:
                # Its text stays where it is: it may quote what the tool was given.
                error = KeyboardInterrupt() if given.get("is_interrupt") else RuntimeError()
                self._carried(call.failed, error)
        return {}


class _Step:
    """Entered while the next message is waited for, and not while the host has the last one."""

    entered = False

    def __enter__(self) -> None:
        self.entered = True

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.entered = False


class _Passing:
    """Messages pass; where that ends amid a turn, what is open is counted as it is.

    A client's messages are left to the loop after each turn: that end may come in the next turn.
    """

    def __init__(self, cut: Callable[[BaseException | None], None]) -> None:
        self._cut = cut
        self.amid_turn = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self.amid_turn:
            self._cut(error)


def _plainly(function: Callable[..., Result], *args: object, **kwargs: object) -> Result:
    return function(*args, **kwargs)


def _stopped(refusal: CallBlocked) -> HookOutput:
    return {"continue_": False, "stopReason": str(refusal)}


def _duration(given: HookInput) -> Fields:
    duration_ms = given.get("duration_ms")
    return {"duration_ms": duration_ms} if isinstance(duration_ms, int) else {}


def _asked_tool(given: HookInput) -> Asked:
    name = given["tool_name"]
    # A server's tool: mcp__server__tool.
    _, server, tool = name.split("__", 2) if name.count("__") > 1 else ("", "", name)
    return Asked(
        kind="tool",
        framework=FRAMEWORK,
        tool=tool,
        connection=server,
        arguments=given.get("tool_input"),
        found={"session": given.get("session_id"), "agent": given.get("agent_type")},
    )
