"""Whether a partition's logs continue its books; where not, what is gone and where they go on."""

from collections.abc import Mapping
from dataclasses import dataclass

from tollway.contract.ledger_entries import PositionEntry
from tollway.contract.topics import COMMANDS, CONTROL, LEDGER, USAGE
from tollway.streams.kafka import LogBounds

__all__ = [
    "CO_PARTITIONED",
    "LOGS",
    "Found",
    "Gap",
    "LogLost",
    "are_books_gone",
    "check",
    "gaps",
    "position_without",
]

CO_PARTITIONED = (USAGE.name, COMMANDS.name, CONTROL.name, LEDGER.name)
# Those whose offsets stand in the books, and the books' own.
LOGS = (USAGE.name, COMMANDS.name, LEDGER.name)


class LogLost(RuntimeError):
    """A log no longer has what the books have not seen, or it is another log."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the broker has for one partition.

    `booked` is the last usage offset that books are known to have held, also where they are gone.
    `ids` are those of the topics, as far as the broker gives any. Of a usage log that is read
    again, what lies before `known_from` is too old for the books to tell what they hold of it.
    """

    position: PositionEntry | None
    booked: int
    ids: Mapping[str, str]
    usage: LogBounds
    commands: LogBounds
    known_from: int = 0


@dataclass(frozen=True, slots=True)
class Gap:
    """What is gone after offset `last` of a topic; whoever goes on without it does so at `next`."""

    topic: str
    last: int
    next: int
    said: str


def check(partition: int, found: Found) -> None:
    """Raises `LogLost` where the books cannot go on as they are."""
    lost = gaps(found)
    if lost:
        said = "; ".join(gap.said for gap in lost)
        raise LogLost(
            f"partition {partition}: {said}. Nothing is skipped unasked: `tollway rebuild` shows"
            " what is lost, and lets the books go on without it"
        )


def are_books_gone(found: Found) -> bool:
    """Whether they must be begun anew: none are there, or they were begun in another topic."""
    position = found.position
    return position is None or _is_another(LEDGER.name, position, found)


def gaps(found: Found) -> list[Gap]:
    """What stands between the books and the logs; nothing where they go on by themselves."""
    position, booked = found.position, found.booked
    lost: list[Gap] = []
    if position is None:
        if booked >= 0:
            said = f"{LEDGER.name} has no books, but {USAGE.name} was booked up to offset {booked}"
            lost.append(Gap(LEDGER.name, -1, 0, f"{said}: they are gone"))
    elif are_books_gone(found):
        said = f"{_made_anew(LEDGER.name, position, found)}: of the books only the end is there"
        lost.append(Gap(LEDGER.name, -1, 0, said))
    # What commands set is gone with the books: all are obeyed anew.
    obeyed = -1 if position is None or are_books_gone(found) else position.commands_offset
    lost += _gap(USAGE.name, booked, found.usage, found.known_from, found)
    lost += _gap(COMMANDS.name, obeyed, found.commands, 0, found)
    return lost


def position_without(found: Found, generation: int, log_time_ms: int) -> PositionEntry:
    """Where the books go on, in their next generation, once what is gone is accepted as lost.

    Books that begin anew have obeyed nothing and counted nothing; `generation` and `log_time_ms`
    are those that the old ones had, as far as they are known.
    """
    goes_on = {gap.topic: gap.next - 1 for gap in gaps(found)}
    before = found.position
    obeyed, counts = -1, {}
    if before is not None and not are_books_gone(found):
        obeyed, counts = before.commands_offset, before.counts
    return PositionEntry(
        generation=generation + 1,
        usage_offset=goes_on.get(USAGE.name, found.booked),
        commands_offset=goes_on.get(COMMANDS.name, obeyed),
        log_time_ms=log_time_ms,
        counts=counts,
        logs=dict(found.ids),
    )


def _gap(topic: str, last: int, bounds: LogBounds, known_from: int, found: Found) -> list[Gap]:
    position = found.position
    read = f"the books have seen {last}" if last >= 0 else "the books have seen nothing of it"
    again = max(bounds.first, known_from)
    if last >= 0 and position is not None and _is_another(topic, position, found):
        said = f"{_made_anew(topic, position, found)}: what the old one held after offset {last}"
        return [Gap(topic, last, again, f"{said} is gone")]
    if bounds.end <= last:
        said = f"{topic} ends at offset {bounds.end}, but {read}: it was cut off or is another log"
        return [Gap(topic, last, again, f"{said}, and what it held after {last} is gone")]
    if bounds.first > last + 1:
        records = bounds.first - last - 1
        said = f"{topic} begins at offset {bounds.first}, but {read}: {records} records are gone"
        return [Gap(topic, last, bounds.first, said)]
    return []


def _is_another(topic: str, position: PositionEntry, found: Found) -> bool:
    before, now = position.logs.get(topic), found.ids.get(topic)
    return before is not None and now is not None and before != now


def _made_anew(topic: str, position: PositionEntry, found: Found) -> str:
    return (
        f"{topic} was made anew since the books were kept of it (its id is {found.ids[topic]},"
        f" not {position.logs[topic]})"
    )
