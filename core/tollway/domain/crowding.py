"""How much of each kind of state a partition may hold, and who leaves before its time past that.

Whoever has most gives way first, so that one workspace, or one budget, that makes up names without
end takes nothing from the others but old minutes and hours.
"""

from collections.abc import Callable, Collection
from heapq import nsmallest
from typing import Any, Final, TypeVar

__all__ = [
    "ACCOUNTS",
    "EARLY",
    "FINGERPRINTS",
    "FREE_CALLS",
    "GAPS",
    "HOURS",
    "LANES",
    "LIMITS",
    "MINUTES",
    "NORMS",
    "PENDING",
    "PRODUCERS",
    "ROUTES",
    "RUNS",
    "VERDICTS",
    "WORKSPACES",
    "Crowds",
    "least_needed",
    "surplus",
]

ACCOUNTS: Final = "accounts"
FINGERPRINTS: Final = "fingerprints"
FREE_CALLS: Final = "free_calls"
GAPS: Final = "gaps"
HOURS: Final = "hours"
LANES: Final = "lanes"
MINUTES: Final = "minutes"
NORMS: Final = "norms"
PENDING: Final = "pending"
PRODUCERS: Final = "producers"
ROUTES: Final = "routes"
RUNS: Final = "runs"
VERDICTS: Final = "verdicts"
WORKSPACES: Final = "workspaces"

# Of all workspaces of a partition together. The large ones are half a gigabyte each.
MAX_ACCOUNTS: Final = 500_000
MAX_ALL_GAPS: Final = 1_000_000
MAX_HOURS: Final = 1_000_000
MAX_LANES: Final = 250_000
MAX_MINUTES: Final = 500_000
MAX_NORMS: Final = 50_000
MAX_PENDING: Final = 100_000
MAX_PRODUCERS: Final = 500_000
MAX_ROUTES: Final = 250_000
MAX_RUNS: Final = 250_000
MAX_VERDICTS: Final = 100_000
MAX_WORKSPACES: Final = 20_000

LIMITS: Final[dict[str, int]] = {
    ACCOUNTS: MAX_ACCOUNTS,
    GAPS: MAX_ALL_GAPS,
    HOURS: MAX_HOURS,
    LANES: MAX_LANES,
    MINUTES: MAX_MINUTES,
    NORMS: MAX_NORMS,
    PENDING: MAX_PENDING,
    PRODUCERS: MAX_PRODUCERS,
    ROUTES: MAX_ROUTES,
    RUNS: MAX_RUNS,
    VERDICTS: MAX_VERDICTS,
    WORKSPACES: MAX_WORKSPACES,
}
# Under this and its name each kind is counted that left early. Routes are not: they are looked up
# anew, and nothing is lost with them.
EARLY: Final = "early_"
# When one too many comes, so large a part leaves: whom to choose is asked seldom.
_PART: Final = 16

_Piece = TypeVar("_Piece")


class Crowds:
    """How many pieces of each kind there are. A subclass knows how to let some of them go.

    All that it decides by is in the books, so that whoever continues from them decides the same.
    """

    __slots__ = ("_making", "busy", "counts", "may_leave", "sizes")

    sizes: dict[str, int]
    counts: dict[str, int]

    def __init__(self, counts: dict[str, int]) -> None:
        self.sizes = dict.fromkeys(LIMITS, 0)
        # The ledger's: what left early is counted there, and so comes back with the position.
        self.counts = counts
        # Not while commands are obeyed: what one offset opens, lets go and opens again would have
        # one key, and take the place of itself. Nor while only a part of the state is there.
        self.may_leave = True
        # The workspace of the event at hand while it holds nothing yet: it stays all the same.
        self.busy = ""
        self._making: set[str] = set()

    def enter(self, kind: str) -> None:
        """Makes room where there is none; called before a piece is opened."""
        size = self.sizes[kind]
        if size >= LIMITS[kind] and self.may_leave and kind not in self._making:
            self._making.add(kind)
            self.make_room(kind, surplus(kind, size))
            self._making.discard(kind)
        self.sizes[kind] += 1

    def add(self, kind: str) -> None:
        """Counts a piece without making room: for what never leaves early, or before `trim`."""
        self.sizes[kind] += 1

    def trim(self, kind: str) -> None:
        """Makes the room that was not made when pieces were added."""
        if self.sizes[kind] > LIMITS[kind] and self.may_leave:
            self.make_room(kind, surplus(kind, self.sizes[kind]))

    def leave(self, kind: str, count: int = 1) -> None:
        self.sizes[kind] -= count

    def is_over(self, kind: str) -> bool:
        """Whether no other piece may be held."""
        return self.sizes[kind] >= LIMITS[kind]

    def is_full(self, kind: str) -> bool:
        """Whether pieces of the kind leave early these days."""
        limit = LIMITS[kind]
        return self.sizes[kind] >= limit - limit // _PART

    def note(self, kind: str, count: int) -> None:
        """Counts pieces that left early, or were never kept."""
        name = EARLY + kind
        self.counts[name] = self.counts.get(name, 0) + count

    def make_room(self, kind: str, count: int) -> None:
        """Lets `count` pieces of a kind go."""
        raise NotImplementedError


def surplus(kind: str, size: int) -> int:
    """How many leave where there are so many: some more than must."""
    limit = LIMITS[kind]
    return size - limit + max(1, limit // _PART)


def least_needed(
    groups: Collection[Collection[_Piece]], count: int, need: Callable[[_Piece], Any]
) -> list[_Piece]:
    """The `count` pieces that are needed least, from the largest groups, those least needed first.

    `need` puts pieces of all groups in one order, the same in every ledger that holds them.
    """
    low, high = 0, max((len(group) for group in groups), default=0)
    # The highest level at which enough leave if no group keeps more.
    while low < high:
        level = (low + high + 1) // 2
        if sum(len(group) - level for group in groups if len(group) > level) >= count:
            low = level
        else:
            high = level - 1
    chosen: list[_Piece] = []
    edge: list[_Piece] = []
    for group in groups:
        if len(group) > low:
            first = nsmallest(len(group) - low, group, key=need)
            # Of equal groups not every one gives a last one.
            edge.append(first.pop())
            chosen += first
    edge.sort(key=need)
    chosen += edge[: max(0, count - len(chosen))]
    chosen.sort(key=need)
    return chosen
