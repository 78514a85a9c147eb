"""What other topics still tell of a partition's books when those are gone."""

from dataclasses import dataclass, field

import msgspec
from confluent_kafka import TopicPartition

from tollway.contract.charge import Charge
from tollway.contract.control import ControlRecord, Decision, Finding, Version
from tollway.contract.topics import CHARGES, COMMANDS, CONTROL, USAGE
from tollway.streams.kafka.commands import CommandRecord
from tollway.streams.kafka.options import BROKER_S
from tollway.streams.kafka.reading import log_bounds, reader, records
from tollway.streams.settings import WorkerSettings

__all__ = ["Said", "all_commands", "first_since", "last_charged", "read_said"]

_decode_charge = msgspec.json.Decoder(Charge).decode
_decode_control = msgspec.json.Decoder(ControlRecord).decode


@dataclass(slots=True)
class Said:
    """What agents were told last: the newest decision of each key, and the newest generation."""

    generation: int = 0
    decisions: dict[bytes, Decision] = field(default_factory=dict)


def read_said(settings: WorkerSettings, partition: int) -> Said:
    said = Said()
    for message in records(settings, CONTROL.name, partition):
        key, value = message.key(), message.value()
        if not isinstance(key, bytes) or value is None:
            continue
        try:
            record = _decode_control(value)
        except msgspec.DecodeError:
            # Of a newer worker: what it says is unknown here, as it is to agents of this version.
            continue
        if not isinstance(record, Decision | Finding):
            said.generation = max(said.generation, record.generation)
            continue
        said.generation = max(said.generation, record.version[0])
        if isinstance(record, Decision):
            held = said.decisions.get(key)
            if held is None or _order(record) >= _order(held):
                said.decisions[key] = record
    return said


def _order(decision: Decision) -> tuple[Version, int]:
    """As agents compare: of one version the higher threshold speaks."""
    return decision.version, decision.threshold_percent or 0


def last_charged(settings: WorkerSettings, partition: int) -> Charge | None:
    """What the books charged last; None where no charge is kept."""
    bounds = log_bounds(settings, CHARGES.name, partition)
    first = bounds.last
    while first >= 0:
        last: Charge | None = None
        for message in records(settings, CHARGES.name, partition, first):
            for charge in map(_decode_charge, (message.value() or b"").splitlines()):
                # An adjustment bears the offset of what it corrects, of long ago maybe.
                last = last if charge.kind == "adjustment" else charge
        if last is not None or first == bounds.first:
            return last
        first = max(bounds.first, first - 2 * (bounds.end - first))
    return None


def all_commands(settings: WorkerSettings, partition: int) -> list[CommandRecord]:
    return [
        CommandRecord(partition, offset, message.timestamp()[1], message.key(), message.value())
        for message in records(settings, COMMANDS.name, partition)
        if (offset := message.offset()) is not None
    ]


def first_since(settings: WorkerSettings, partition: int, moment_ms: int) -> int:
    """The first usage offset that was appended from then on; the end where none was."""
    consumer = reader(settings)
    try:
        (found,) = consumer.offsets_for_times(
            [TopicPartition(USAGE.name, partition, max(0, moment_ms))], timeout=BROKER_S
        )
    finally:
        consumer.close()
    return found.offset if found.offset >= 0 else log_bounds(settings, USAGE.name, partition).end
