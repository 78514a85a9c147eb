"""Puts what the store kept of an embedded broker's log into the empty one that follows it.

Runs before anything else opens the store or joins the broker. Of commands all come back, at their
old offsets; of control and ledger the newest record of each key. Usage events do not: they are in
the books already. So each partition's position moves to the beginning of a new generation.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from tollway.cli.up.restored import Restored
from tollway.contract.ledger_entries import PositionEntry
from tollway.contract.topics import COMMANDS, LEDGER
from tollway.sinks.clickhouse import connect
from tollway.sinks.migrate import migrate
from tollway.sinks.raw_records import RAW_TOPICS, forget_deleted, next_life, read_raw

__all__ = ["Log", "RestoreFailed", "main", "restore"]

POSITION_KEY = b"position"
_MAX_RECORD_BYTES = 16 * 1024 * 1024 + 1024
_FLUSH_S = 60.0
_POLL_S = 1.0

# (partition, key, value), each partition in the order of its log.
RawRecords = Iterable[tuple[int, bytes, bytes | None]]


class RestoreFailed(RuntimeError):
    """The broker did not take a record; starting on half of the state would be wrong."""


class Log:
    """A producer to given partitions that knows whether everything has arrived."""

    def __init__(self, brokers: str) -> None:
        self.records = 0
        self._refused: KafkaError | None = None
        self._producer = Producer(
            {
                "bootstrap.servers": brokers,
                "acks": "all",
                "enable.idempotence": True,
                "message.max.bytes": _MAX_RECORD_BYTES,
                "linger.ms": 5,
            }
        )

    def put(self, topic: str, partition: int, key: bytes, value: bytes | None) -> None:
        while True:
            try:
                self._producer.produce(
                    topic, value, key, partition=partition, on_delivery=self._delivered
                )
            except BufferError:
                self._producer.poll(_POLL_S)
                continue
            break
        self.records += 1
        self._producer.poll(0)

    def finish(self) -> None:
        unsent = self._producer.flush(_FLUSH_S)
        if unsent or self._refused is not None:
            raise RestoreFailed(
                f"of {self.records} records {unsent} did not reach the broker within"
                f" {_FLUSH_S:g} s; first refusal: {self._refused}"
            )

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and self._refused is None:
            self._refused = error


def restore(log: Log, raw: dict[str, RawRecords], partitions: int) -> None:
    """`raw` holds the kept records of each of `RAW_TOPICS`."""
    last_command = [-1] * partitions
    positions: dict[int, PositionEntry] = {}
    for topic, records in raw.items():
        for partition, key, value in records:
            if partition >= partitions:
                raise RestoreFailed(
                    f"the store holds partition {partition} of {topic}, and the topics have"
                    f" {partitions}; start with as many partitions as before"
                )
            if topic == COMMANDS.name:
                last_command[partition] += 1
            if topic == LEDGER.name and key == POSITION_KEY and value is not None:
                positions[partition] = msgspec.json.decode(value, type=PositionEntry)
                continue
            log.put(topic, partition, key, value)
    # All else is there before any position says so.
    log.finish()
    for partition, before in positions.items():
        position = next_generation(before, last_command[partition])
        log.put(LEDGER.name, partition, POSITION_KEY, msgspec.json.encode(position))
    log.finish()


def next_generation(before: PositionEntry, last_command: int) -> PositionEntry:
    """The position in the new log: no usage yet, and the commands that the books held.

    Commands that were written and not yet applied are applied then. Of commands that the store had
    not kept when the broker died, the books may know; their offsets are free again.
    """
    return msgspec.structs.replace(
        before,
        generation=before.generation + 1,
        usage_offset=-1,
        commands_offset=min(before.commands_offset, last_command),
        # Of topics that are gone.
        logs={},
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tollway.cli.up.restore", description=__doc__)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--clickhouse", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--result", type=Path, required=True)
    options = parser.parse_args(arguments)
    client = connect(options.clickhouse)
    migrate(client)
    life = next_life(client)
    forget_deleted(client)
    log = Log(options.brokers)
    restore(log, {topic: read_raw(client, topic) for topic in RAW_TOPICS}, options.partitions)
    options.result.write_bytes(msgspec.json.encode(Restored(life=life, records=log.records)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
