"""`tool_amplification`: tool results that multiply what the next model call has to read."""

from typing import Final

import msgspec

from tollway.domain.detectors.profile import Profile
from tollway.domain.detectors.sighting import Sighting, quoted
from tollway.domain.usage import Usage

__all__ = ["Results", "multiplied", "read", "returned", "used"]

_NAME: Final = "tool_amplification"
_Packed = tuple[int, int, int, bool, str, int, int]


class Results:
    """Tool results of a run until a model call reads them; of those between two, the largest."""

    __slots__ = (
        "before_tokens",
        "call_tokens",
        "count",
        "largest_call_tokens",
        "largest_tokens",
        "largest_tool",
        "tool_used",
    )

    def __init__(self) -> None:
        self.before_tokens: int = 0
        # What the last model call wrote: the tool call is a part of it.
        self.call_tokens: int = 0
        self.count: int = 0
        self.tool_used: bool = False
        self.largest_tool: str = ""
        self.largest_tokens: int = 0
        self.largest_call_tokens: int = 0

    def pack(self) -> list[object]:
        return [
            self.before_tokens,
            self.call_tokens,
            self.count,
            self.tool_used,
            self.largest_tool,
            self.largest_tokens,
            self.largest_call_tokens,
        ]

    @staticmethod
    def restore(packed: object) -> "Results":
        results = Results()
        (
            results.before_tokens,
            results.call_tokens,
            results.count,
            results.tool_used,
            results.largest_tool,
            results.largest_tokens,
            results.largest_call_tokens,
        ) = msgspec.convert(packed, _Packed)
        return results


def used(results: Results, usage: Usage) -> None:
    """Compat: a tool ran."""
    results.tool_used = True
    if usage.result_tokens > results.largest_tokens:
        results.largest_tokens = usage.result_tokens
        results.largest_tool = usage.tool


def multiplied(results: Results, profile: Profile, usage: Usage) -> Sighting | None:
    """Compat: the input after tool calls against the input before.

    Tools are seen by their own events, or by `tool_calls` of either model call: adapters differ in
    which of the two carries the count.
    """
    tokens = usage.input_tokens
    if tokens == 0:
        results.tool_used = results.tool_used or usage.tool_calls > 0
        return None
    before, results.before_tokens = results.before_tokens, tokens
    called = results.tool_used or usage.tool_calls > 0
    tool, largest = results.largest_tool, results.largest_tokens
    results.tool_used = usage.tool_calls > 0
    results.largest_tool, results.largest_tokens = "", 0
    if not called or before == 0 or tokens * 100 < before * profile.amplification_percent:
        return None
    whose = f", most from tool {quoted(tool)}" if tool else ""
    message = f"tool calls took the input from {before} to {tokens} tokens{whose}"
    evidence = {"before": str(before), "input": str(tokens)}
    if tool:
        evidence["tool"] = quoted(tool)
        evidence["result"] = str(largest)
    return Sighting(_NAME, "warn", message, evidence)


def returned(results: Results, profile: Profile, usage: Usage) -> None:
    """Production: keeps a large result until a model call shows how much of its prompt it is."""
    tokens = usage.result_tokens
    if tokens <= results.largest_tokens or results.count <= profile.amplification_skip_results:
        return
    call = usage.input_tokens or results.call_tokens
    if tokens * 100 >= call * profile.amplification_percent:
        results.largest_tool = usage.tool
        results.largest_tokens = tokens
        results.largest_call_tokens = call


def read(results: Results, profile: Profile, prompt: int) -> Sighting | None:
    """Production: the prompt of the model call after a large result."""
    tool, tokens, call = results.largest_tool, results.largest_tokens, results.largest_call_tokens
    results.largest_tool, results.largest_tokens, results.largest_call_tokens = "", 0, 0
    if tokens * 100 < prompt * profile.amplification_prompt_percent:
        return None
    share = tokens * 100 // prompt
    message = (
        f"a result of tool {quoted(tool)} has {tokens} tokens, {share} % of the next prompt of"
        f" {prompt}; the call had {call}"
    )
    evidence = {
        "tool": quoted(tool),
        "result": str(tokens),
        "call": str(call),
        "input": str(prompt),
    }
    return Sighting(_NAME, "warn", message, evidence)
