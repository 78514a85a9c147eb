"""The books of one session under this tool's rules: its events, its soft limit, its loops."""

import logging
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import ROUND_CEILING, Decimal
from typing import Final

import msgspec

from tollway.contract.command import DetectorParameters, Policy
from tollway.contract.money import format_usd
from tollway.contract.usage import UsageEvent
from tollway.domain.detectors import DETECTORS
from tollway.producers.local.books import MAX_LISTED, Books
from tollway.producers.local.limits import Limits
from tollway.producers.local.notices import Booked, Entry, Notice

__all__ = ["Line", "Loops", "SessionBooks", "share_of"]

# Different calls that are remembered for finding loops; the longest unseen leave.
MAX_CALLS: Final = 10_000
# This tool's loops are found below, by its own numbers; a limit that is met is no loop.
_POLICY: Final = Policy(detectors=DetectorParameters(off=list(DETECTORS)))

Called = tuple[str, ...]

_log = logging.getLogger("tollway")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One event as a report lists it. `counted_pico`: also where it has no price."""

    entry: Entry
    counted_pico: int
    at_s: float
    metadata: Mapping[str, object] | None


class Loops:
    """Says when one and the same call has come `most` times within `window_s`."""

    def __init__(self, most: int, window_s: float) -> None:
        self.most = most
        self.window_s = window_s
        self._times: OrderedDict[Called, deque[float]] = OrderedDict()

    def renewed(self) -> "Loops":
        """The same numbers for a session of its own."""
        return Loops(self.most, self.window_s)

    def see(self, called: Called, now_s: float) -> bool:
        times = self._times.setdefault(called, deque(maxlen=self.most))
        self._times.move_to_end(called)
        if len(self._times) > MAX_CALLS:
            self._times.popitem(last=False)
        times.append(now_s)
        return len(times) == self.most and now_s - times[0] <= self.window_s


class SessionBooks(Books):
    """Adds to a session's books what this tool's reports and exceptions tell of."""

    def __init__(
        self,
        session: str,
        agent: str,
        hard_pico: int,
        soft_pico: int,
        loops: Loops,
        parent: "SessionBooks | None" = None,
    ) -> None:
        limits = Limits(session, format_usd(hard_pico), 1.0, 0.0)
        # What has no price counts at its provider's dearest rates: a cap must hold for it too.
        super().__init__(session, agent, limits, _POLICY, parent=parent, unpriced="conservative")
        self.hard_pico = hard_pico
        self.soft_pico = soft_pico
        self.soft_told = False
        self.loops = loops
        # The name of what goes round, until it is told.
        self.loop: str | None = None
        self.lines: deque[Line] = deque(maxlen=MAX_LISTED)
        self._metadata: dict[str, Mapping[str, object]] = {}

    @contextmanager
    def noting(self, event_id: str, metadata: Mapping[str, object] | None) -> Iterator[None]:
        """Within, an event is recorded of which the host says this; it may come to be lost."""
        if metadata is not None:
            self._metadata[event_id] = metadata
        try:
            yield
        finally:
            self._metadata.pop(event_id, None)

    def book(self, event: UsageEvent) -> Booked:
        # One lock for a session and its children, so the difference is this event's.
        with self.lock:
            before = self.limits.spent_pico
            booked = super().book(event)
            if not booked.duplicate and event.kind in {"llm", "tool"}:
                self._list(booked.entry, self.limits.spent_pico - before)
                self._watch(event)
            return booked

    def say(self, notice: Notice) -> None:
        super().say(notice)
        if notice.type == "unpriced":
            model = notice.evidence["model"]
            _log.warning(
                "no pricing for model %r: it counts at the dearest rates; see register_model", model
            )
        # This tool tells its soft limit by a callback; a warning besides would be news to its host.
        self.unsaid = None

    def _list(self, entry: Entry, counted_pico: int) -> None:
        line = Line(
            entry=entry,
            counted_pico=counted_pico,
            at_s=time.time(),
            metadata=self._metadata.get(entry.id),
        )
        for books in self.lineage():
            if isinstance(books, SessionBooks):
                books.lines.append(line)

    def _watch(self, event: UsageEvent) -> None:
        name = event.tool if event.kind == "tool" else event.model
        told = (event.prompt_hash or "", event.args_hash or "", event.result_hash or "")
        # Of a call that nothing but its name is known of, nobody can say that it is the same one.
        if name and any(told) and self.loops.see((event.kind, name, *told), time.monotonic()):
            self.loop = name


def share_of(pico: int, share: float) -> int:
    """A share of an amount, rounded up to whole pico-dollars."""
    return int((pico * Decimal(str(share))).to_integral_value(rounding=ROUND_CEILING))
