"""Taking a partition over: what the broker has of it, and the ledger that its records say."""

from collections.abc import Mapping
from typing import Final

import msgspec

from tollway.contract.ledger_entries import LedgerEntry, PositionEntry
from tollway.contract.moments import parse_ms
from tollway.contract.topics import COMMANDS, USAGE
from tollway.domain.ledger import Ledger
from tollway.domain.prices import Catalogue, PriceBook
from tollway.domain.restoring import restore
from tollway.streams.continuing import Found, check
from tollway.streams.kafka import (
    POSITION_KEY,
    first_since,
    group_offset,
    last_charged,
    log_bounds,
)
from tollway.streams.settings import WorkerSettings

__all__ = ["look", "recover"]

_decode_entry: Final = msgspec.json.Decoder(LedgerEntry).decode
_decode_position: Final = msgspec.json.Decoder(PositionEntry).decode


def look(
    settings: WorkerSettings, partition: int, newest: Mapping[bytes, bytes], ids: Mapping[str, str]
) -> Found:
    """What the broker has of a partition, beside the `newest` record of each key of its books."""
    held = newest.get(POSITION_KEY)
    position = None if held is None else _decode_position(held)
    booked = _booked(settings, partition) if position is None else position.usage_offset
    return Found(
        position=position,
        booked=booked,
        ids=ids,
        usage=log_bounds(settings, USAGE.name, partition),
        commands=log_bounds(settings, COMMANDS.name, partition),
    )


def _booked(settings: WorkerSettings, partition: int) -> int:
    """The last usage offset of books that are not there: -1 where they are new, not lost.

    The group remembers, but notes late; the charges are written with the books. Where the group
    has noted nothing, they may be of a log before this one, as a topic takes the group's offsets
    with it: then this log got its records after they were written.
    """
    noted = group_offset(settings, partition) - 1
    charged = last_charged(settings, partition)
    if charged is None:
        return noted
    if noted < 0:
        first_later = first_since(settings, partition, parse_ms(charged.log_time) + 1)
        if first_later <= charged.offset:
            return noted
    return max(noted, charged.offset)


def recover(
    partition: int,
    partitions: int,
    catalogue: Catalogue,
    newest: Mapping[bytes, bytes],
    found: Found,
) -> Ledger:
    """The ledger that a partition's records say. Raises `LogLost` where no log continues it."""
    check(partition, found)
    ledger = Ledger(partition, partitions, PriceBook(catalogue))
    restore(ledger, [(key.decode(), _decode_entry(value)) for key, value in newest.items()])
    return ledger
