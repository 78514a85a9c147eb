"""What one agent usually costs: the median of its finished runs and of its recent events."""

from typing import Final

import msgspec

__all__ = ["MAX_NORM_EVENTS", "MAX_NORM_RUNS", "Norm"]

MAX_NORM_RUNS: Final = 50
MAX_NORM_EVENTS: Final = 64
# Sorting on each event would cost more than all detectors together: the median of events is taken
# anew after so many.
EVENTS_PER_MEDIAN: Final = 16

_Packed = tuple[list[int], list[int]]


def _median(values: list[int]) -> int:
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) // 2


class Norm:
    """Costs in pico-dollars of one agent in one workspace, newest last.

    `events` ends with up to fifteen that the median does not know yet.
    """

    __slots__ = ("events", "events_known", "median_event_pico", "median_run_pico", "runs")

    def __init__(self) -> None:
        self.runs: list[int] = []
        self.median_run_pico: int = 0
        self.events: list[int] = []
        self.events_known: int = 0
        self.median_event_pico: int = 0

    def finished(self, spent_pico: int) -> None:
        """A run has ended. One that cost nothing says nothing about what a run costs."""
        if spent_pico <= 0:
            return
        self.runs.append(spent_pico)
        if len(self.runs) > MAX_NORM_RUNS:
            del self.runs[0]
        self.median_run_pico = _median(self.runs)

    def spent(self, cost_pico: int) -> None:
        """A priced event of the agent."""
        self.events.append(cost_pico)
        if len(self.events) - self.events_known >= EVENTS_PER_MEDIAN:
            self._learn()

    def _learn(self) -> None:
        if len(self.events) > MAX_NORM_EVENTS:
            del self.events[: len(self.events) - MAX_NORM_EVENTS]
        self.events_known = len(self.events)
        self.median_event_pico = _median(self.events)

    def pack(self) -> list[list[int]]:
        """The runs and the events, as `restore` wants them."""
        return [list(self.runs), list(self.events)]

    @staticmethod
    def restore(packed: object) -> "Norm":
        """The norm that was packed, as it was."""
        norm = Norm()
        norm.runs, norm.events = msgspec.convert(packed, _Packed)
        if norm.runs:
            norm.median_run_pico = _median(norm.runs)
        # The median is always of whole sixteens, or of as many events as are ever kept.
        count = len(norm.events)
        norm.events_known = min(MAX_NORM_EVENTS, count - count % EVENTS_PER_MEDIAN)
        if norm.events_known:
            norm.median_event_pico = _median(norm.events[: norm.events_known])
        return norm
