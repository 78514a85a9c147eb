"""What one connection to Claude's agent has used, as its messages tell it: each token once.

A response comes as several messages with one id, a result with the totals of the whole connection.
So a response is counted when it is over, and a result adds only what no response has told: the
models of helpers, and output that was not yet known when a message was sent.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from tollway.producers.ambient import Fields
from tollway.producers.responses import ResponseUsage, usage_of

__all__ = ["Response", "Turns"]

PROVIDER: Final = "anthropic"
# Ids of responses that have been counted; a connection may live for days.
MAX_COUNTED: Final = 10_000
MAX_AGENTS: Final = 1_000
_COUNTS: Final = {
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "cacheReadInputTokens": "cache_read_tokens",
    "cacheCreationInputTokens": "cache_write_tokens",
    "webSearchRequests": "searches",
}
# What names of one model differ in: the host's prefix, a date, a version, a window of 1m tokens.
_NAME: Final = re.compile(r"(claude-.*?)(?:[-@]\d{8})?(?:-v\d+(?::\d+)?)?(?:\[.*\])?$")
# The SDK's own objects: it is not there when this is type-checked.
Message = Any
Counts = dict[str, int]


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """One response of a model, or the rest that a result tells of: one event."""

    usage: ResponseUsage
    found: Fields


class _Open(msgspec.Struct):
    """A response that is still coming."""

    id: str
    model: str
    usage: dict[str, Any]
    session: str | None = None
    tool_calls: int = 0


class Turns:
    """Reads the messages of one connection; each is answered with what is over by it."""

    def __init__(self) -> None:
        # By the tool call that runs the subagent; None is the agent itself.
        self._open: dict[str | None, _Open] = {}
        self._counted: dict[str, None] = {}
        self._agents: dict[str, str] = {}
        # By model: what responses told since the last result, and the totals that it told.
        self._told: dict[str, Counts] = {}
        self._totals: dict[str, Counts] = {}

    def read(self, message: Message) -> list[Response]:
        # By name: a newer SDK's message that is not known here tells nothing of usage.
        reader: Callable[[Message], list[Response]] | None = {
            "AssistantMessage": self._part,
            "StreamEvent": self._event,
            "UserMessage": lambda user: self._over(user.parent_tool_use_id),
            "ResultMessage": self._result,
            "ConversationResetMessage": self._reset,
        }.get(type(message).__name__)
        return [] if reader is None else reader(message)

    def cut(self) -> list[Response]:
        """The host let go, or the connection broke: what is open is a lower bound."""
        return [
            Response(
                usage=msgspec.structs.replace(each.usage, usage_missing=True), found=each.found
            )
            for each in self._all_over()
        ]

    def _part(self, message: Message) -> list[Response]:
        for block in message.content:
            if type(block).__name__ == "ToolUseBlock" and "subagent_type" in block.input:
                self._agents[block.id] = str(block.input["subagent_type"])
                if len(self._agents) > MAX_AGENTS:
                    self._agents.pop(next(iter(self._agents)))
        if not message.message_id or not message.usage:
            return []
        over = self._begin(message.parent_tool_use_id, message.message_id, message.model)
        part = self._open.get(message.parent_tool_use_id)
        if part is not None:
            part.session = message.session_id
            part.usage = _later(part.usage, message.usage)
            part.tool_calls += sum(
                type(block).__name__ == "ToolUseBlock" for block in message.content
            )
        return over

    def _event(self, message: Message) -> list[Response]:
        """With `include_partial_messages`: the provider's own events, which tell the most."""
        event, parent = message.event, message.parent_tool_use_id
        if event.get("type") == "message_start":
            begun = event["message"]
            over = self._begin(parent, begun["id"], begun["model"])
            if parent in self._open:
                self._open[parent].session = message.session_id
                self._open[parent].usage = _later({}, begun.get("usage") or {})
            return over
        part = self._open.get(parent)
        if event.get("type") == "message_delta" and part is not None:
            part.usage = _later(part.usage, event.get("usage") or {})
        return []

    def _begin(self, parent: str | None, response_id: str, model: str) -> list[Response]:
        part = self._open.get(parent)
        if part is not None and part.id == response_id:
            return []
        over = self._over(parent)
        if response_id not in self._counted:
            self._open[parent] = _Open(response_id, model, {})
        return over

    def _over(self, parent: str | None) -> list[Response]:
        part = self._open.pop(parent, None)
        if part is None:
            return []
        self._counted[part.id] = None
        if len(self._counted) > MAX_COUNTED:
            self._counted.pop(next(iter(self._counted)))
        body = {"id": part.id, "type": "message", "role": "assistant", "content": []}
        usage = usage_of({**body, "model": part.model, "usage": part.usage}, provider=PROVIDER)
        usage = msgspec.structs.replace(usage, tool_calls=part.tool_calls)
        told = self._told.setdefault(_plain(part.model), {})
        for field in _COUNTS.values():
            told[field] = told.get(field, 0) + getattr(usage, field)
        agent = self._agents.get(parent or "")
        return [Response(usage=usage, found={"session": part.session, "agent": agent})]

    def _result(self, message: Message) -> list[Response]:
        over = self._all_over()
        totals: dict[str, Counts] = {}
        for model, total in (message.model_usage or {}).items():
            known = totals.setdefault(_plain(total.get("canonicalModel") or model), {})
            for field, count in _inclusive(total).items():
                known[field] = known.get(field, 0) + count
        for model, counts in totals.items():
            rest = self._rest(model, counts)
            if any(rest.values()):
                usage = msgspec.convert(
                    {"provider": PROVIDER, "model": model, **rest}, ResponseUsage
                )
                over.append(Response(usage=usage, found={"session": message.session_id}))
        self._told.clear()
        return over

    def _all_over(self) -> list[Response]:
        return [each for parent in list(self._open) for each in self._over(parent)]

    def _rest(self, model: str, total: Counts) -> Counts:
        """What the totals have grown by, less what responses have told of it."""
        before, told = self._totals.get(model, {}), self._told.get(model, {})
        self._totals[model] = total
        if any(count < before.get(field, 0) for field, count in total.items()):
            # Totals that shrink are another connection's.
            before = {}
        return {
            field: max(0, count - before.get(field, 0) - told.get(field, 0))
            for field, count in total.items()
        }

    def _reset(self, message: Message) -> list[Response]:
        """The totals begin anew."""
        over = self._all_over()
        self._totals.clear()
        self._told.clear()
        return over


def _later(before: Mapping[str, Any], usage: Mapping[str, Any]) -> dict[str, Any]:
    """Counts are the response's so far: what comes later replaces, and is never less."""
    merged = dict(before)
    for name, value in usage.items():
        known = merged.get(name)
        if value is None or (isinstance(value, int) and isinstance(known, int) and value < known):
            continue
        merged[name] = value
    return merged


def _plain(model: str) -> str:
    found = _NAME.search(model)
    return model if found is None else found[1]


def _inclusive(total: Mapping[str, Any]) -> Counts:
    counts = {field: int(total.get(name) or 0) for name, field in _COUNTS.items()}
    counts["input_tokens"] += counts["cache_read_tokens"] + counts["cache_write_tokens"]
    return counts
