"""What the ledger remembers: a piece of state that writes itself down, and leaves in time."""

from typing import Final

from tollway.contract.ledger_entries import LedgerEntry

__all__ = ["Changes", "Stateful", "Wheel"]


class Stateful:
    """A piece of state under one key. Subclasses say `key` and `entry`."""

    __slots__ = ("dirty", "slot")

    dirty: bool
    # Where it waits in its wheel; -1 when it left that, or everything.
    slot: int

    def __init__(self) -> None:
        self.dirty = False
        self.slot = 0

    def key(self) -> str:
        raise NotImplementedError

    def entry(self, stamp: int) -> LedgerEntry:
        """The absolute record; `stamp` is the version of the books being closed."""
        raise NotImplementedError


class Changes:
    """What changed since the books were last closed."""

    __slots__ = ("changed", "left")

    changed: list[Stateful]
    left: list[Stateful]

    def __init__(self) -> None:
        self.changed = []
        self.left = []

    def touch(self, piece: Stateful) -> None:
        if not piece.dirty:
            piece.dirty = True
            self.changed.append(piece)

    def drop(self, piece: Stateful) -> None:
        piece.slot = -1
        self.left.append(piece)

    def forget(self, piece: Stateful) -> None:
        """As `drop`, of what no table wants the last words of."""
        piece.dirty = False
        self.drop(piece)

    def take(self, stamp: int) -> list[tuple[str, LedgerEntry | None]]:
        """Records in the order in which they must be written: last words, tombstones, changes.

        What left while it was changed writes its last words before its tombstone: the tables
        want them. A key that came back within one closing is written after its tombstone.
        """
        records: list[tuple[str, LedgerEntry | None]] = []
        for piece in self.left:
            key = piece.key()
            if piece.dirty:
                records.append((key, piece.entry(stamp)))
                piece.dirty = False
            records.append((key, None))
        for piece in self.changed:
            if piece.dirty:
                piece.dirty = False
                records.append((piece.key(), piece.entry(stamp)))
        self.left = []
        self.changed = []
        return records


# Listings of a wheel among which none is looked for that is out of date.
_FEW: Final = 10_000


class Wheel:
    """Pieces of state by the slot of log time at which they may leave; touching moves them on.

    Amortised constant time: a piece is listed again only when its slot changes, and a listing
    that is out of date is passed over.
    """

    __slots__ = ("at", "listed", "most", "slots")

    slots: dict[int, list[Stateful]]
    # All slots up to this one have been turned.
    at: int
    # How many listings there are, and at how many those out of date are struck off.
    listed: int
    most: int

    def __init__(self) -> None:
        self.slots = {}
        self.at = -1
        self.listed = 0
        self.most = _FEW

    def put(self, piece: Stateful, slot: int) -> None:
        if self.listed >= self.most:
            self.strike_off()
        self.listed += 1
        piece.slot = slot
        waiting = self.slots.get(slot)
        if waiting is None:
            self.slots[slot] = [piece]
        else:
            waiting.append(piece)

    def turn(self, now: int) -> list[Stateful]:
        """Whatever waits in slots up to `now`, oldest slot first; they are taken off the wheel."""
        due: list[Stateful] = []
        if self.slots and now > self.at:
            for slot in sorted(slot for slot in self.slots if slot <= now):
                due += self._take(slot)
        self.at = now
        return due

    def take_oldest(self) -> list[Stateful]:
        """Whatever waits in the oldest slot, before its time; none where that is out of date."""
        return self._take(min(self.slots)) if self.slots else []

    def strike_off(self) -> None:
        """Forgets listings that are out of date, so that what has left leaves memory too."""
        kept = 0
        for slot, waiting in list(self.slots.items()):
            current = list(dict.fromkeys(piece for piece in waiting if piece.slot == slot))
            if current:
                self.slots[slot] = current
                kept += len(current)
            else:
                del self.slots[slot]
        self.listed, self.most = kept, 4 * kept + _FEW

    def _take(self, slot: int) -> list[Stateful]:
        taken: list[Stateful] = []
        waiting = self.slots.pop(slot)
        self.listed -= len(waiting)
        for piece in waiting:
            if piece.slot == slot:
                # Off the wheel: listed twice in one slot, it is due once.
                piece.slot = -1
                taken.append(piece)
        return taken
