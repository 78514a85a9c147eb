"""Taking a partition over: what the broker has of it, and the ledger that its records say."""

from collections.abc import Mapping
from typing import Final

import msgspec

from tollway.contract.ledger_entries import LedgerEntry, PositionEntry
from tollway.contract.topics import COMMANDS, USAGE
from tollway.domain.ledger import Ledger
from tollway.domain.prices import Catalogue, PriceBook
from tollway.domain.restoring import restore
from tollway.streams.continuing import Found, check
from tollway.streams.kafka import POSITION_KEY, group_offset, log_bounds
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
    # Who has no books may be new, or may have lost them: the group remembers.
    booked = group_offset(settings, partition) - 1 if position is None else position.usage_offset
    return Found(
        position=position,
        booked=booked,
        ids=ids,
        usage=log_bounds(settings, USAGE.name, partition),
        commands=log_bounds(settings, COMMANDS.name, partition),
    )


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
