"""Reads the ledger back, and the bounds of the log that it continues."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from tollway.contract.topics import LEDGER, USAGE
from tollway.streams.kafka.options import BROKER_S, POLL_S, Option, common
from tollway.streams.settings import WorkerSettings

__all__ = ["LogBounds", "partition_counts", "read_ledger", "reader", "usage_bounds"]

_BATCH = 5000
_PROBE_S = 5.0
_NO_RESET: dict[str, Option] = {"auto.offset.reset": "error"}
# The last record of every closing of the books: see `Ledger.close`.
POSITION_KEY = b"position"


def reader(settings: WorkerSettings, extra: dict[str, Option] | None = None) -> Consumer:
    return Consumer(
        {
            **common(settings),
            # Never joined: partitions are assigned by hand and no offset is kept.
            "group.id": f"{settings.group}-reader",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            # The default of 1 s stalls a fast consumer whose queue was full for a moment.
            "fetch.queue.backoff.ms": 5,
            "fetch.wait.max.ms": 100,
            "fetch.error.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1000,
            **(extra or {}),
        }
    )


def partition_counts(settings: WorkerSettings, topics: Sequence[str]) -> dict[str, int]:
    """How many partitions each topic has; 0 where it does not exist."""
    consumer = reader(settings)
    try:
        known = consumer.list_topics(timeout=BROKER_S).topics
    finally:
        consumer.close()
    return {name: len(known[name].partitions) if name in known else 0 for name in topics}


@dataclass(frozen=True, slots=True)
class LogBounds:
    """The first offset that a log still has, the one after its end, and its last record's.

    Marks of transactions have offsets too, so `last` can lie before `end`; -1 where it has none.
    """

    first: int
    end: int
    last: int


def usage_bounds(settings: WorkerSettings, partition: int, seen_offset: int) -> LogBounds:
    """The bounds of the usage log; `seen_offset` is the last one in the books, -1 for none.

    The embedded broker says an end that is too low, so an end before what the books have seen is
    believed only where that record cannot be read.
    """
    consumer = reader(settings, {"isolation.level": "read_uncommitted", **_NO_RESET})
    try:
        first, end = consumer.get_watermark_offsets(
            TopicPartition(USAGE.name, partition), timeout=BROKER_S
        )
        if seen_offset >= 0 and end <= seen_offset and _holds(consumer, partition, seen_offset):
            end = seen_offset + 1
    finally:
        consumer.close()
    return LogBounds(first, end)


def _holds(consumer: Consumer, partition: int, offset: int) -> bool:
    consumer.assign([TopicPartition(USAGE.name, partition, offset)])
    end_s = time.monotonic() + _PROBE_S
    while time.monotonic() < end_s:
        message = consumer.poll(POLL_S)
        if message is None:
            continue
        error = message.error()
        if error is None:
            return message.offset() == offset
        if not error.retriable():
            return False
    return False


def read_ledger(settings: WorkerSettings, partition: int) -> dict[bytes, bytes]:
    """The newest committed value of each key in a partition of the ledger; tombstones are gone.

    Whole closings only: each ends with the position. The embedded broker also shows what was
    aborted, and a closing that a crash cut off has no position.
    """
    newest: dict[bytes, bytes] = {}
    closing: dict[bytes, bytes | None] = {}
    consumer = reader(settings, {"enable.partition.eof": True, "check.crcs": False})
    try:
        consumer.assign([TopicPartition(LEDGER.name, partition, OFFSET_BEGINNING)])
        for message in _until_end(consumer):
            key, value = message.key(), message.value()
            if key is None:
                continue
            closing[key] = value
            if key == POSITION_KEY:
                _take_over(newest, closing)
    finally:
        consumer.close()
    return newest


def _take_over(newest: dict[bytes, bytes], closing: dict[bytes, bytes | None]) -> None:
    for key, value in closing.items():
        if value is None:
            newest.pop(key, None)
        else:
            newest[key] = value
    closing.clear()


def _until_end(consumer: Consumer) -> Iterator[Message]:
    while True:
        for message in consumer.consume(_BATCH, POLL_S):
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                return
            elif not error.retriable():
                raise KafkaException(error)
