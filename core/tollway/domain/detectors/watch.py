"""Everything that the detectors remember of one run of one agent, and when a run is over."""

from typing import Final

import msgspec

from tollway.domain.detectors.budget_exceeded import Said
from tollway.domain.detectors.context_bloat import Context
from tollway.domain.detectors.norm import Norm
from tollway.domain.detectors.retry_loop import Calls, Prompts
from tollway.domain.detectors.token_acceleration import Pace
from tollway.domain.detectors.tool_amplification import Results

__all__ = ["RUN_IDLE_MS", "RunWatch", "finish"]

# A run that never says its outcome counts as finished after so long without an event.
RUN_IDLE_MS: Final = 30 * 60 * 1000

_Packed = tuple[int, int, int, bool, int, object, object, object, object, object, object]


class RunWatch:
    """State of one (session, agent). Bounded: each part names its own limits."""

    __slots__ = (
        "calls",
        "context",
        "events",
        "finished",
        "last_ms",
        "pace",
        "prompts",
        "results",
        "said",
        "spent_pico",
        "spike_pico",
    )

    def __init__(self) -> None:
        self.spent_pico: int = 0
        self.events: int = 0
        self.last_ms: int = 0
        self.finished: bool = False
        self.spike_pico: int = 0
        self.said: Said = Said()
        self.prompts: Prompts = Prompts()
        self.calls: Calls = Calls()
        self.context: Context = Context()
        self.pace: Pace = Pace()
        self.results: Results = Results()

    def pack(self) -> list[object]:
        """The state as lists, strings and numbers; `restore` makes the same again."""
        return [
            self.spent_pico,
            self.events,
            self.last_ms,
            self.finished,
            self.spike_pico,
            self.said.pack(),
            self.prompts.pack(),
            self.calls.pack(),
            self.context.pack(),
            self.pace.pack(),
            self.results.pack(),
        ]

    @staticmethod
    def restore(packed: object) -> "RunWatch":
        """The watch that was packed. Raises `msgspec.ValidationError` for anything else."""
        watch = RunWatch()
        (
            watch.spent_pico,
            watch.events,
            watch.last_ms,
            watch.finished,
            watch.spike_pico,
            said,
            prompts,
            calls,
            context,
            pace,
            results,
        ) = msgspec.convert(packed, _Packed)
        watch.said = Said.restore(said)
        watch.prompts = Prompts.restore(prompts)
        watch.calls = Calls.restore(calls)
        watch.context = Context.restore(context)
        watch.pace = Pace.restore(pace)
        watch.results = Results.restore(results)
        return watch


def finish(watch: RunWatch, norm: Norm) -> bool:
    """Counts a run into the agent's norm: at its outcome, or `RUN_IDLE_MS` after its last event.

    False where it was counted before. What a run spends after that is not in the norm.
    """
    if watch.finished:
        return False
    watch.finished = True
    norm.finished(watch.spent_pico)
    return True
