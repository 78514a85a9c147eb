"""The way out where logs do not continue the books: they go on without what is gone, and say so.

What is gone is a dead letter of the reason `lost`; the position moves to where the logs go on, in
a new generation, so no version runs backwards.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from tollway.contract.deadletter import dead_letter
from tollway.contract.ledger_entries import DecisionEntry, DocumentEntry, PositionEntry
from tollway.contract.moments import format_ms, parse_ms
from tollway.contract.topics import COMMANDS, DEADLETTER, LEDGER
from tollway.domain.calendar import FOREVER_MS, HOUR_MS
from tollway.domain.dedup import HORIZON_HOURS
from tollway.domain.ledger import Ledger
from tollway.domain.prices import Catalogue, PriceBook
from tollway.domain.restoring import restore
from tollway.domain.verdicts import Standing
from tollway.streams.continuing import Gap, are_books_gone, gaps, position_without
from tollway.streams.kafka import (
    POSITION_KEY,
    Books,
    Outgoing,
    Said,
    Written,
    all_commands,
    first_since,
    last_charged,
    read_ledger,
    read_said,
)
from tollway.streams.owner import Owner
from tollway.streams.recovering import look
from tollway.streams.settings import WorkerSettings

__all__ = ["Changed", "Plan", "rebuild", "survey"]

_encode: Final = msgspec.json.Encoder().encode
_decode_document: Final = msgspec.json.Decoder(DocumentEntry).decode
_DOCUMENT_KEY: Final = b"document|"


class Changed(RuntimeError):
    """What is gone is not what was agreed to: something happened since."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is gone of a partition, and the position from which its books can go on."""

    partition: int
    gaps: list[Gap]
    position: PositionEntry
    are_books_gone: bool

    def agrees_with(self, other: "Plan") -> bool:
        return _places(self) == _places(other)


def _places(plan: Plan) -> object:
    position = plan.position
    return (
        [(gap.topic, gap.last, gap.next) for gap in plan.gaps],
        (position.generation, position.usage_offset, position.commands_offset),
    )


def survey(settings: WorkerSettings, partition: int, ids: Mapping[str, str]) -> Plan | None:
    """What would have to be accepted; None where the partition's books go on by themselves."""
    return _plan(settings, partition, ids, read_ledger(settings, partition))


def rebuild(
    settings: WorkerSettings, plan: Plan, partitions: int, ids: Mapping[str, str], now_ms: int
) -> None:
    """Writes what `plan` says, in one transaction of the partition's own.

    Raises `Changed`, or `Fenced` where a worker takes the partition over meanwhile.
    """
    partition = plan.partition
    books = Books(settings, partition)
    written = read_ledger(settings, partition)
    again = _plan(settings, partition, ids, written)
    if again is None or not again.agrees_with(plan):
        raise Changed(f"partition {partition} is not any more as it was shown")
    records = [*_letters(again, now_ms), *_torn(partition, written)]
    if again.are_books_gone:
        records += _begun_anew(settings, again, written, partitions, ids, now_ms)
    else:
        records += _documents(again, written)
        position = _encode(again.position)
        records.append(Outgoing(LEDGER.name, partition, POSITION_KEY, position))
    books.write(records)


def _plan(
    settings: WorkerSettings, partition: int, ids: Mapping[str, str], written: Written
) -> Plan | None:
    found = look(settings, partition, written.newest, ids)
    if not gaps(found):
        return None
    before = found.position
    generation, log_ms = 0, 0
    if before is None:
        charged = last_charged(settings, partition)
        log_ms = 0 if charged is None else parse_ms(charged.log_time)
    else:
        generation, log_ms = before.generation, before.log_time_ms
        hour = log_ms // HOUR_MS - HORIZON_HOURS + 1
        found = replace(found, known_from=first_since(settings, partition, hour * HOUR_MS))
    anew = are_books_gone(found)
    if anew:
        generation = max(generation, read_said(settings, partition).generation)
    position = position_without(found, generation, log_ms)
    return Plan(partition, gaps(found), position, anew)


def _letters(plan: Plan, now_ms: int) -> Iterator[Outgoing]:
    for gap in plan.gaps:
        letter = dead_letter(
            "lost",
            f"{gap.said}; accepted by `tollway rebuild`",
            topic=gap.topic,
            partition=plan.partition,
            offset=gap.last + 1,
            time=format_ms(now_ms),
            key=None,
            value=None,
        )
        yield Outgoing(DEADLETTER.name, -1, str(plan.partition).encode(), _encode(letter))


def _torn(partition: int, written: Written) -> Iterator[Outgoing]:
    for key in written.torn:
        yield Outgoing(LEDGER.name, partition, key, written.newest.get(key))


def _documents(plan: Plan, written: Written) -> Iterator[Outgoing]:
    """Documents keep their order before those that a new log of commands will set."""
    for gap in plan.gaps:
        back = gap.last + 1 - gap.next
        if gap.topic != COMMANDS.name or back <= 0:
            continue
        for key, value in written.newest.items():
            if key.startswith(_DOCUMENT_KEY):
                document = _decode_document(value)
                moved = msgspec.structs.replace(
                    document, commands_offset=document.commands_offset - back
                )
                yield Outgoing(LEDGER.name, plan.partition, key, _encode(moved))


class _Nobody:
    """Who hears of what is decided at once: nobody, for no usage is judged here."""

    def publish(self, partition: int, key: str, value: bytes) -> None:
        raise AssertionError(f"{key} is decided without usage")


def _begun_anew(
    settings: WorkerSettings,
    plan: Plan,
    written: Written,
    partitions: int,
    ids: Mapping[str, str],
    now_ms: int,
) -> Iterator[Outgoing]:
    """Empty books that have obeyed all commands, and hold what agents were told last."""
    partition = plan.partition
    for key in written.newest.keys() | written.torn:
        if key != POSITION_KEY:
            yield Outgoing(LEDGER.name, partition, key, None)
    ledger = Ledger(partition, partitions, PriceBook(Catalogue.bundled()))
    restore(ledger, [(POSITION_KEY.decode(), plan.position)])
    owner = Owner(partition, ledger, _Nobody(), seen_until=-1, torn={}, logs=dict(ids))
    for command in all_commands(settings, partition):
        owner.add_command(command)
    closing = owner.close()
    yield from _standing(read_said(settings, partition), ledger, now_ms)
    # The position is the last of them.
    yield from closing.records


def _standing(said: Said, ledger: Ledger, now_ms: int) -> Iterator[Outgoing]:
    """What still holds for agents, so that whoever lifts it finds it."""
    for decision in said.decisions.values():
        lapses = decision.expires_at
        expires_ms = FOREVER_MS if lapses is None else parse_ms(lapses)
        key = Standing(decision, expires_ms).key()
        if decision.action == "allow" or expires_ms <= now_ms or key in ledger.verdicts.standing:
            continue
        entry = DecisionEntry(decision=decision)
        yield Outgoing(LEDGER.name, ledger.partition, key.encode(), _encode(entry))
