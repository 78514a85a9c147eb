"""A partition's log read again by a ledger in this process: every life must agree with it."""

import random
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from tollway.contract.ledger_entries import FingerprintsEntry, FreeCallsEntry, LedgerEntry
from tollway.domain.commanding import obey
from tollway.domain.ledger import Ledger
from tollway.domain.prices import Catalogue, PriceBook
from tollway.domain.records import Headers
from tollway.domain.restoring import restore

__all__ = ["Crashing", "Life", "LogRecord", "State", "Written", "entries", "plain_state", "replay"]

_encode = msgspec.json.Encoder().encode
_decode_entry = msgspec.json.Decoder(LedgerEntry).decode
_texts = msgspec.json.Decoder(list[msgspec.Raw]).decode

PARTITIONS = 12
# What is remembered, by key, as documents that can be compared.
State = dict[str, object]


class LogRecord(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None
    stamp_ms: int
    beside: Headers | None = None

    def headers(self) -> Headers | None:
        return self.beside


@dataclass
class Life:
    """What a ledger put out: lines of charges in order, verdicts by id, its state at the end."""

    charges: list[str] = field(default_factory=list)
    verdicts: dict[str, bytes] = field(default_factory=dict)
    # Ids whose copies differ, with the copies.
    torn: dict[str, set[bytes]] = field(default_factory=dict)
    dead_letters: list[bytes] = field(default_factory=list)
    state: State = field(default_factory=dict)

    def hear(self, verdict_id: str, text: bytes) -> None:
        held = self.verdicts.setdefault(verdict_id, text)
        if held != text:
            self.torn.setdefault(verdict_id, {held}).add(text)


def new_ledger(partition: int, catalogue: Catalogue) -> Ledger:
    return Ledger(partition, PARTITIONS, PriceBook(catalogue))


def plain_state(records: Iterable[tuple[str, LedgerEntry]]) -> State:
    """The newest record of each key without what depends on when the books were closed.

    Nor on which broker they are kept: its ids of the topics are no function of the records.
    """
    state: State = {}
    prints: dict[int, set[int]] = {}
    free: dict[int, list[msgspec.Raw]] = {}
    for key, entry in records:
        if isinstance(entry, FingerprintsEntry):
            prints.setdefault(entry.hour, set()).update(array("Q", entry.fingerprints))
            continue
        if isinstance(entry, FreeCallsEntry):
            free.setdefault(entry.minute, []).extend(_texts(entry.calls))
            continue
        document = msgspec.json.decode(_encode(entry))
        document.pop("version", None)
        document.pop("logs", None)
        state[key] = document
    for hour, marks in prints.items():
        state[f"fingerprints|{hour}"] = sorted(marks)
    for minute, calls in free.items():
        state[f"free|{minute}"] = sorted(map(bytes, calls))
    return state


def _apply(ledger: Ledger, records: list[LogRecord]) -> None:
    ledger.apply(
        [record.value for record in records],
        [record.key for record in records],
        [record.offset for record in records],
        [record.stamp_ms for record in records],
        records,
    )


def _obey(ledger: Ledger, commands: Iterable[LogRecord]) -> None:
    for command in commands:
        obey(ledger, command.key, command.value, command.offset, command.stamp_ms)


def replay(
    partition: int,
    usage: list[LogRecord],
    commands: list[LogRecord],
    interleaving: list[tuple[int, int]],
    catalogue: Catalogue,
) -> Life:
    """One life without a break. `interleaving`: after which usage offset which commands applied."""
    ledger = new_ledger(partition, catalogue)
    life = Life()
    at = done = 0
    for usage_offset, commands_offset in interleaving:
        until = at
        while until < len(usage) and usage[until].offset <= usage_offset:
            until += 1
        _apply(ledger, usage[at:until])
        at = until
        while done < len(commands) and commands[done].offset <= commands_offset:
            _obey(ledger, commands[done : done + 1])
            done += 1
    _apply(ledger, usage[at:])
    _hear(ledger, life, life.charges)
    written: Written = {}
    _keep(written, ledger.close())
    life.state = plain_state(entries(written))
    return life


def _hear(ledger: Ledger, life: Life, charges: list[str]) -> None:
    charges.extend(line.decode() for line in b"".join(ledger.take_charges()).splitlines())
    for verdict in ledger.take_verdicts():
        life.hear(verdict.id, _encode(verdict))


# The newest record of each key, as it stands in the log.
Written = dict[str, bytes]


def _keep(written: Written, records: Iterable[tuple[str, LedgerEntry | None]]) -> None:
    for key, entry in records:
        if entry is None:
            written.pop(key, None)
        else:
            written[key] = _encode(entry)


def entries(written: Written) -> list[tuple[str, LedgerEntry]]:
    return [(key, _decode_entry(text)) for key, text in written.items()]


class Crashing:
    """Lives that close their books and end at random records; each is continued by the next.

    `commands` arrive before the usage record whose place stands beside them.
    """

    def __init__(
        self,
        partition: int,
        usage: list[LogRecord],
        commands: list[tuple[int, LogRecord]],
        catalogue: Catalogue,
        rng: random.Random,
    ) -> None:
        self.partition = partition
        self.usage = usage
        self.commands = commands
        self.catalogue = catalogue
        self.rng = rng
        self.life = Life()
        # In the books: after which usage offset which commands apply.
        self.interleaving: list[tuple[int, int]] = []
        self._written: Written = {}
        # How far any life has read: what it decided up to there is published.
        self._reached = 0

    def live(self, crashes: int) -> Life:
        ends = sorted(self.rng.randrange(len(self.usage)) for _ in range(crashes))
        for end in ends:
            self._one(end, dies=True)
        self._one(len(self.usage), dies=False)
        self.life.state = plain_state(entries(self._written))
        return self.life

    def _one(self, end: int, *, dies: bool) -> None:
        ledger = new_ledger(self.partition, self.catalogue)
        restore(ledger, entries(self._written))
        booked: list[str] = []
        at = ledger.usage_offset + 1
        if at == 0:
            self._close(ledger, booked, at)
        while at < end:
            step = min(end, at + self.rng.randint(1, 400))
            _apply(ledger, self.usage[at:step])
            at = step
            self._reached = max(self._reached, at)
            # Published at once, whatever becomes of the books.
            _hear(ledger, self.life, booked)
            if self.rng.random() < 0.4:
                self._close(ledger, booked, at)
        if not dies:
            self._close(ledger, booked, at)

    def _close(self, ledger: Ledger, booked: list[str], at: int) -> None:
        done = ledger.commands_offset
        if at >= self._reached:
            # Not before all is applied again that was judged without them.
            _obey(ledger, [command for place, command in self.commands if place <= at])
        if ledger.commands_offset > done:
            self.interleaving.append((ledger.usage_offset, ledger.commands_offset))
        _keep(self._written, ledger.close())
        _hear(ledger, self.life, booked)
        self.life.charges.extend(booked)
        booked.clear()
