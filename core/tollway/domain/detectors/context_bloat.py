"""`context_bloat`: a context that jumps from one step to the next, or nears the model's window."""

from typing import Final

import msgspec

from tollway.domain.detectors.profile import Profile
from tollway.domain.detectors.sighting import Sighting, quoted

__all__ = ["MAX_MODELS", "Context", "fills", "grows"]

_NAME: Final = "context_bloat"
# An agent that titles its chats with a small model must not look as if its context fell and rose.
MAX_MODELS: Final = 4

_PackedLane = tuple[str, int, int]
_Packed = tuple[int, list[_PackedLane]]


class Lane:
    """One model's context in a run; `peak` is 0 unless it crossed the level and is not re-armed."""

    __slots__ = ("last", "model", "peak")

    def __init__(self, model: str) -> None:
        self.model: str = model
        self.last: int = 0
        self.peak: int = 0


class Context:
    """The input of the last step, and of the last few models apart, the current one last."""

    __slots__ = ("lane", "lanes", "last")

    def __init__(self) -> None:
        self.last: int = 0
        self.lane: Lane = Lane("")
        self.lanes: list[Lane] = [self.lane]

    def enter(self, model: str) -> Lane:
        """The lane of a model, which becomes the current one."""
        for at, lane in enumerate(self.lanes):
            if lane.model == model:
                del self.lanes[at]
                break
        else:
            lane = Lane(model)
            if len(self.lanes) >= MAX_MODELS:
                del self.lanes[0]
        self.lanes.append(lane)
        self.lane = lane
        return lane

    def pack(self) -> list[object]:
        return [self.last, [[lane.model, lane.last, lane.peak] for lane in self.lanes]]

    @staticmethod
    def restore(packed: object) -> "Context":
        context = Context()
        context.last, lanes = msgspec.convert(packed, _Packed)
        context.lanes = []
        for model, last, peak in lanes:
            lane = Lane(model)
            lane.last, lane.peak = last, peak
            context.lanes.append(lane)
        context.lane = context.lanes[-1]
        return context


def grows(context: Context, profile: Profile, tokens: int) -> Sighting | None:
    """Compat: more than the percentage above the step before. Without input there is no step."""
    if tokens == 0:
        return None
    before, context.last = context.last, tokens
    if before == 0 or tokens * 100 <= before * (100 + profile.context_growth_percent):
        return None
    return _jump(before, tokens)


def fills(
    context: Context, profile: Profile, model: str, tokens: int, window: int
) -> Sighting | None:
    """Production: the level once a crossing, and jumps of a context that is large already."""
    if tokens == 0:
        return None
    lane = context.lane
    if lane.model != model:
        lane = context.enter(model)
    before, lane.last = lane.last, tokens
    if window <= 0:
        window = profile.context_window_tokens
    if lane.peak == 0:
        if tokens * 100 >= window * profile.context_level_percent:
            lane.peak = tokens
            return _level(model, tokens, window)
    elif tokens >= lane.peak:
        lane.peak = tokens
    elif (
        tokens * 100 <= lane.peak * (100 - profile.context_rearm_percent)
        and tokens * 100 < window * profile.context_level_percent
    ):
        lane.peak = 0
    if (
        before >= profile.context_floor_tokens
        and tokens - before >= profile.context_growth_tokens
        and tokens * 100 >= before * (100 + profile.context_growth_percent)
        and before
    ):
        return _jump(before, tokens)
    return None


def _jump(before: int, tokens: int) -> Sighting:
    percent = (tokens - before) * 100 // before
    message = f"the input grew by {percent} % in one step, from {before} to {tokens} tokens"
    return Sighting(_NAME, "warn", message, {"before": str(before), "input": str(tokens)})


def _level(model: str, tokens: int, window: int) -> Sighting:
    percent = tokens * 100 // window
    message = f"the context of {tokens} tokens is {percent} % of the window of {window}"
    evidence = {"input": str(tokens), "window": str(window), "model": quoted(model)}
    return Sighting(_NAME, "warn", message, evidence)
