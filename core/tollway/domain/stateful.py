"""What the ledger remembers: a piece of state that writes itself down, and leaves in time."""

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


class Wheel:
    """Pieces of state by the slot of log time at which they may leave; touching moves them on.

    Amortised constant time: a piece is listed again only when its slot changes, and a listing
    that is out of date is passed over.
    """

    __slots__ = ("at", "slots")

    slots: dict[int, list[Stateful]]
    # All slots up to this one have been turned.
    at: int

    def __init__(self) -> None:
        self.slots = {}
        self.at = -1

    def put(self, piece: Stateful, slot: int) -> None:
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
                for piece in self.slots.pop(slot):
                    if piece.slot == slot:
                        # Off the wheel: listed twice in one slot, it is due once.
                        piece.slot = -1
                        due.append(piece)
        self.at = now
        return due
