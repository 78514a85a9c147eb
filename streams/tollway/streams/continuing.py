"""Whether a partition's logs continue its books; where not, what is gone and where they go on."""

from collections.abc import Mapping
from dataclasses import dataclass

from tollway.contract.ledger_entries import PositionEntry
from tollway.contract.topics import COMMANDS, LEDGER, USAGE
from tollway.streams.kafka import LogBounds

__all__ = ["Found", "Gap", "LogLost", "are_books_gone", "check", "gaps"]


class LogLost(RuntimeError):
    """A log no longer has what the books have not seen, or it is another log."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the broker has for one partition.

    `booked` is the last usage offset that books are known to have held, also where they are gone.
    `ids` are those of the topics, as far as the broker gives any.
    """

    position: PositionEntry | None
    booked: int
    ids: Mapping[str, str]
    usage: LogBounds
    commands: LogBounds


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
            lost.append(Gap(LEDGER.name, booked, booked + 1, f"{said}: they are gone"))
        obeyed = -1
    elif _is_another(LEDGER.name, position, found):
        said = f"{_another(LEDGER.name, position, found)}: of the books only the end is there"
        lost.append(Gap(LEDGER.name, booked, booked + 1, said))
        # What they set is gone with them: all are obeyed anew.
        obeyed = -1
    else:
        obeyed = position.commands_offset
    for topic, last, bounds in (
        (USAGE.name, booked, found.usage),
        (COMMANDS.name, obeyed, found.commands),
    ):
        gap = _gap(topic, last, bounds, position, found)
        if gap is not None:
            lost.append(gap)
    return lost


def _gap(
    topic: str, last: int, bounds: LogBounds, position: PositionEntry | None, found: Found
) -> Gap | None:
    read = f"the books have seen {last}" if last >= 0 else "the books have seen nothing of it"
    what_followed = f"what the old one held after offset {last} is gone"
    if last >= 0 and position is not None and _is_another(topic, position, found):
        said = f"{_another(topic, position, found)}: {what_followed}"
        return Gap(topic, last, bounds.first, said)
    if bounds.end <= last:
        said = f"{topic} ends at offset {bounds.end}, but {read}"
        if position is not None and topic in position.logs and topic in found.ids:
            # What comes at these offsets again is new.
            return Gap(topic, last, bounds.end, f"{said}: the broker has lost its end")
        said = f"{said}: this is another log than the books were kept of, and {what_followed}"
        return Gap(topic, last, bounds.first, said)
    if bounds.first > last + 1:
        records = bounds.first - last - 1
        said = f"{topic} begins at offset {bounds.first}, but {read}: {records} records are gone"
        return Gap(topic, last, bounds.first, said)
    return None


def _is_another(topic: str, position: PositionEntry, found: Found) -> bool:
    before, now = position.logs.get(topic), found.ids.get(topic)
    return before is not None and now is not None and before != now


def _another(topic: str, position: PositionEntry, found: Found) -> str:
    return (
        f"{topic} was made anew since the books were kept of it (its id is {found.ids[topic]},"
        f" not {position.logs[topic]})"
    )
