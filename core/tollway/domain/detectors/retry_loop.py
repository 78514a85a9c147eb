"""`retry_loop`: the same prompt, the same tool call, or the same cycle of calls again and again."""

from typing import Final, Literal

import msgspec

from tollway.domain.detectors.parameters import MAX_CYCLE_LENGTH
from tollway.domain.detectors.profile import Profile
from tollway.domain.detectors.sighting import Sighting, quoted
from tollway.domain.usage import Usage

__all__ = ["Calls", "Prompts", "answered", "asked_again", "called_again"]

_NAME: Final = "retry_loop"
# Results between two prompts are compared up to here; one is ten to sixty-four characters.
_MAX_RESULT_CHARACTERS: Final = 1024

_PackedPrompts = tuple[str, int, str, str]
_PackedCalls = tuple[list[str], list[str], list[int], list[int]]


class Prompts:
    """The prompt that was sent last, how often in a row, and the tool results around it."""

    __slots__ = ("count", "last", "results", "results_before")

    def __init__(self) -> None:
        self.last: str = ""
        self.count: int = 0
        # Of the tools since the last prompt, and of those between it and the one before.
        self.results: str = ""
        self.results_before: str = ""

    def forget(self) -> None:
        """The next prompt repeats nothing."""
        self.last = self.results = self.results_before = ""
        self.count = 0

    def pack(self) -> list[object]:
        return [self.last, self.count, self.results, self.results_before]

    @staticmethod
    def restore(packed: object) -> "Prompts":
        prompts = Prompts()
        prompts.last, prompts.count, prompts.results, prompts.results_before = msgspec.convert(
            packed, _PackedPrompts
        )
        return prompts


class Calls:
    """The last few tool calls, and for each period how many calls in a row equalled the one a
    period before: `same` by tool and arguments, `exact` by the result too."""

    __slots__ = ("exact", "keys", "repeating", "results", "same")

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.results: list[str] = []
        self.same: list[int] = [0] * MAX_CYCLE_LENGTH
        self.exact: list[int] = [0] * MAX_CYCLE_LENGTH
        self.repeating: bool = False

    def forget(self) -> None:
        """The next call repeats nothing."""
        self.keys.clear()
        self.results.clear()
        self.ends()

    def ends(self) -> None:
        """The call that came now repeats none of the last few."""
        self.same = [0] * MAX_CYCLE_LENGTH
        self.exact = [0] * MAX_CYCLE_LENGTH
        self.repeating = False

    def pack(self) -> list[object]:
        return [list(self.keys), list(self.results), list(self.same), list(self.exact)]

    @staticmethod
    def restore(packed: object) -> "Calls":
        calls = Calls()
        calls.keys, calls.results, calls.same, calls.exact = msgspec.convert(packed, _PackedCalls)
        calls.repeating = any(calls.same)
        return calls


def _fires(count: int, first: int) -> bool:
    """At the first, then at each doubling: 3, 6, 12, ..."""
    doubled = count // first
    return count % first == 0 and doubled & (doubled - 1) == 0


def asked_again(prompts: Prompts, profile: Profile, usage: Usage) -> Sighting | None:
    """The full prompt, for both profiles. A model call without a hash equals no other."""
    prompt = usage.prompt_hash
    if not prompt or prompt != prompts.last:
        prompts.last = prompt
        prompts.count = 1
        prompts.results = prompts.results_before = ""
        return None
    if usage.attempt and not usage.input_tokens and not usage.output_tokens:
        # A client's own retry of a call that nobody answered: it repeats nothing that was paid.
        return None
    results, prompts.results = prompts.results, ""
    before, prompts.results_before = prompts.results_before, results
    if results and before and results != before:
        prompts.count = 1
        return None
    prompts.count += 1
    if not _fires(prompts.count, profile.retry_prompt_repeats):
        return None
    message = f"the same prompt {prompts.count} times in a row"
    evidence = {"repeats": str(prompts.count)}
    return Sighting(_NAME, "block" if profile.production else "warn", message, evidence)


def answered(prompts: Prompts, usage: Usage) -> None:
    """A tool's result may be what tells the next prompt from the one before, though it is equal."""
    result = usage.result_hash
    if result and len(prompts.results) < _MAX_RESULT_CHARACTERS:
        prompts.results += "|" + result


def called_again(calls: Calls, profile: Profile, usage: Usage) -> Sighting | None:
    """Production: tool and arguments, and cycles of them. Polling tools are not in the sequence."""
    tool = usage.tool
    if profile.polling_tools and tool in profile.polling_tools:
        return None
    arguments = usage.args_hash
    key = f"{tool}\n{arguments}" if tool and arguments else ""
    result = usage.result_hash
    keys, results = calls.keys, calls.results
    sighting = None
    if key and key in keys:
        _count(calls, key, result)
        sighting = _loop(calls, profile, tool)
    elif calls.repeating:
        calls.ends()
    keys.append(key)
    results.append(result)
    if len(keys) > MAX_CYCLE_LENGTH:
        del keys[0]
        del results[0]
    return sighting


def _count(calls: Calls, key: str, result: str) -> None:
    calls.repeating = True
    for period in range(1, MAX_CYCLE_LENGTH + 1):
        if len(calls.keys) < period or calls.keys[-period] != key:
            calls.same[period - 1] = calls.exact[period - 1] = 0
            continue
        calls.same[period - 1] += 1
        if result and calls.results[-period] == result:
            calls.exact[period - 1] += 1
        else:
            calls.exact[period - 1] = 0


def _loop(calls: Calls, profile: Profile, tool: str) -> Sighting | None:
    """Only the shortest period that repeats often enough speaks: AAAAAA is no cycle of AA."""
    first, always = profile.retry_call_repeats, profile.retry_call_block_repeats
    for period in range(1, profile.retry_cycle_length + 1):
        same, exact = calls.same[period - 1], calls.exact[period - 1]
        count, exact_count = same // period + 1, exact // period + 1
        if exact_count >= first:
            if exact % period == 0 and _fires(exact_count, first):
                return _seen("block", tool, period, exact_count, "with the same result ")
            return None
        if period == 1 and count >= always:
            return _seen("block", tool, period, count, "") if _fires(count, always) else None
        if count >= first:
            if same % period == 0 and _fires(count, first):
                return _seen("warn", tool, period, count, "")
            return None
    return None


def _seen(
    level: Literal["warn", "block"], tool: str, period: int, count: int, how: str
) -> Sighting:
    name = quoted(tool)
    if period == 1:
        message = f"same call of tool {name} {how}{count} times"
    else:
        message = f"same cycle of {period} tool calls, last {name}, {how}{count} times"
    evidence = {"tool": name, "repeats": str(count), "cycle_length": str(period)}
    return Sighting(_NAME, level, message, evidence)
