"""A ledger under test: a log is sent in, books are closed, owners change."""

import json
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from random import Random
from typing import NamedTuple

import msgspec

from tollway.contract.charge import Charge
from tollway.contract.control import Decision, Finding
from tollway.contract.deadletter import DeadLetter
from tollway.contract.ledger_entries import (
    AccountEntry,
    LedgerEntry,
    PositionEntry,
    SpendEntry,
)
from tollway.contract.moments import format_ms, parse_ms
from tollway.contract.money import parse_usd
from tollway.domain.commanding import obey
from tollway.domain.ledger import Ledger
from tollway.domain.prices import Catalogue, PriceBook
from tollway.domain.prices.listing import Condition, ListedModel, Listing, PriceSet
from tollway.domain.records import Headers, Stray
from tollway.domain.restoring import restore

__all__ = [
    "DAY",
    "HOUR",
    "MINUTE",
    "T0",
    "Books",
    "Given",
    "Log",
    "budget",
    "charges_of",
    "command",
    "event",
    "money",
    "small_catalogue",
]

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
# A Tuesday: 2026-03-10T12:00:00Z.
T0 = 1_773_144_000_000
assert format_ms(T0) == "2026-03-10T12:00:00.000Z"

_charge = msgspec.json.Decoder(Charge).decode
_entry = msgspec.json.Decoder(LedgerEntry).decode
_encode = msgspec.json.Encoder().encode


@lru_cache(maxsize=1)
def small_catalogue() -> Catalogue:
    """Two models: `small` at $1 and $2 a million tokens, `large` at $10 and $20."""
    listing = Listing("acme")
    for name, price in (("small", 1), ("large", 10)):
        units = {
            "input_mtok": [(-1, Decimal(price))],
            "output_mtok": [(-1, Decimal(2 * price))],
        }
        model = ListedModel("acme", name, [PriceSet(Condition(), units)], [])
        listing.add(model, [name])
    return Catalogue("test", {"acme": listing}, "test-list")


def money(text: str) -> int:
    return parse_usd(text)


def charges_of(packs: Iterable[bytes]) -> list[Charge]:
    """The charges in what a ledger or a topic holds of them."""
    return [_charge(line) for line in b"".join(packs).splitlines()]


_COUNT = iter(range(10**9))


def event(at_ms: int = T0, **fields: object) -> bytes:
    """A usage event of an id of its own; what is given replaces the defaults."""
    document: dict[str, object] = {
        "id": f"e{next(_COUNT)}",
        "time": format_ms(at_ms),
        "workspace": "acme",
        "agent": "bot",
    }
    return json.dumps(document | fields).encode()


def budget(**fields: object) -> dict[str, object]:
    return {"id": "cap", "limit_usd": "1.00"} | fields


def command(kind: str, **fields: object) -> bytes:
    document: dict[str, object] = {
        "id": "c1",
        "type": kind,
        "time": "2026-03-10T12:00:00Z",
        "workspace": "acme",
        "actor": "ann",
    }
    return json.dumps(document | fields).encode()


class Given(NamedTuple):
    """A record with headers, as a client hands them over."""

    value: bytes | None
    beside: Headers | None = None

    def headers(self) -> Headers | None:
        return self.beside


class Books:
    """What the ledger topic holds after compaction."""

    def __init__(self) -> None:
        self.live: dict[str, bytes] = {}
        # Every record ever written, in order: the feed of the tables.
        self.written: list[tuple[str, bytes | None]] = []

    def write(self, records: Iterable[tuple[str, LedgerEntry | None]]) -> None:
        for key, entry in records:
            value = None if entry is None else _encode(entry)
            self.written.append((key, value))
            if value is None:
                self.live.pop(key, None)
            else:
                self.live[key] = value

    def entries(self) -> dict[str, LedgerEntry]:
        return {key: _entry(value) for key, value in self.live.items()}

    def of(self, kind: str) -> list[str]:
        return [key for key in self.live if key.split("|")[0] == kind]

    def accounts(self, budget_id: str = "cap") -> dict[tuple[str, str | None], AccountEntry]:
        """By subject as JSON and the window's beginning."""
        return {
            (json.dumps(entry.subject, sort_keys=True), entry.window_start): entry
            for entry in self.entries().values()
            if isinstance(entry, AccountEntry) and entry.budget_id == budget_id
        }

    def spend_rows(self) -> dict[tuple[object, ...], SpendEntry]:
        """The table `spend` after merging: the newest version of each accumulator, left or not."""
        rows: dict[tuple[object, ...], SpendEntry] = {}
        for key, value in self.written:
            if value is None or not key.startswith("spend|"):
                continue
            row = _entry(value)
            assert isinstance(row, SpendEntry)
            name = (*_lane(row), row.minute, row.generation, row.opened_at_offset)
            if name not in rows or rows[name].version <= row.version:
                rows[name] = row
        return rows

    def account_rows(self) -> dict[tuple[object, ...], AccountEntry]:
        """The table `accounts` after merging."""
        rows: dict[tuple[object, ...], AccountEntry] = {}
        for key, value in self.written:
            if value is None or not key.startswith("account|"):
                continue
            row = _entry(value)
            assert isinstance(row, AccountEntry)
            subject = json.dumps(row.subject, sort_keys=True)
            name = (row.workspace, row.budget_id, subject, row.window, row.window_start)
            if name not in rows or rows[name].version <= row.version:
                rows[name] = row
        return rows

    def counts(self) -> dict[str, int]:
        position = self.entries()["position"]
        assert isinstance(position, PositionEntry)
        return position.counts


def _lane(row: SpendEntry) -> tuple[str, ...]:
    names = (row.agent, row.provider, row.model, row.connection, row.tool, row.user, row.customer)
    return (row.workspace, *names)


class Log:
    """One partition's ledger and all that came out of it; log time moves as told."""

    def __init__(
        self,
        catalogue: Catalogue | None = None,
        *,
        partition: int = 0,
        partitions: int = 1,
        books: Books | None = None,
        now: int = T0,
    ) -> None:
        self.catalogue = catalogue or small_catalogue()
        self.partition, self.partitions = partition, partitions
        self.ledger = Ledger(partition, partitions, PriceBook(self.catalogue))
        self.books = Books() if books is None else books
        self.now = now
        self.offset = 0
        self.commands = 0
        self.lines: list[str | bytes] = []
        self.verdicts: list[Decision | Finding] = []
        self.letters: list[DeadLetter] = []
        self.misrouted: list[Stray] = []

    def send(self, *values: bytes | None, at: int | None = None) -> "Log":
        """Applies records as one chunk, appended at log time `at`."""
        return self.send_given(*map(Given, values), at=at)

    def send_given(self, *records: Given, at: int | None = None) -> "Log":
        if at is not None:
            self.now = at
        offsets = list(range(self.offset, self.offset + len(records)))
        self.offset += len(records)
        values, many = [record.value for record in records], len(records)
        self.ledger.apply(values, [b"key"] * many, offsets, [self.now] * many, records)
        return self._take()

    def spend(self, cost: str, at: int | None = None, **fields: object) -> "Log":
        """One event of an explicit cost, at the present of the log."""
        if at is not None:
            self.now = at
        return self.send(event(self.now, cost=cost, **fields))

    def tell(self, *documents: bytes) -> "Log":
        """Obeys commands and closes the books, as a worker does."""
        for document in documents:
            obey(self.ledger, b"key", document, self.commands, self.now)
            self.commands += 1
        self._take()
        return self.close()

    def set_budget(self, **fields: object) -> "Log":
        return self.tell(command("budget.set", budget=budget(**fields)))

    def close(self) -> "Log":
        self.books.write(self.ledger.close())
        return self

    def restart(self) -> "Log":
        """Another owner continues from the closed books; what was not closed is lost."""
        entries = list(self.books.entries().items())
        # In any order of keys: compaction keeps that of the last writes, and others may not.
        Random(len(entries)).shuffle(entries)
        ledger = Ledger(self.partition, self.partitions, PriceBook(self.catalogue))
        restore(ledger, entries)
        self.ledger = ledger
        return self

    def _take(self) -> "Log":
        self.lines += b"".join(self.ledger.take_charges()).splitlines()
        self.verdicts += self.ledger.take_verdicts()
        self.letters += self.ledger.take_buried()
        self.misrouted += self.ledger.take_misrouted()
        return self

    def charges(self) -> list[Charge]:
        return [_charge(line) for line in self.lines]

    def decisions(self, rule: str = "budget:cap") -> list[Decision]:
        return [
            verdict
            for verdict in self.verdicts
            if isinstance(verdict, Decision) and verdict.rule == rule
        ]

    def said(self, rule: str = "budget:cap") -> list[tuple[str, int | None]]:
        """Actions and thresholds, in the order in which they were decided."""
        return [(d.action, d.threshold_percent) for d in self.decisions(rule)]

    def in_force(self, rule: str = "budget:cap", **subject: str) -> str:
        """What an agent that applied every decision obeys now: of equal versions the strongest."""
        strength = {"allow": 0, "warn": 1, "block": 2}
        held: Decision | None = None
        for decision in self.decisions(rule):
            if decision.subject == subject and (
                held is None
                or (decision.version, strength[decision.action])
                >= (held.version, strength[held.action])
            ):
                held = decision
        if held is None or (held.expires_at is not None and parse_ms(held.expires_at) <= self.now):
            return "allow"
        return held.action

    def spent(self, budget_id: str = "cap", start: str | None = None, **subject: str) -> str:
        self.close()
        found = self.books.accounts(budget_id)[(json.dumps(subject, sort_keys=True), start)]
        return found.spent
