"""Reads the ledger back, and the bounds of the logs that it continues."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from tollway.contract.topics import LEDGER
from tollway.streams.kafka.options import BROKER_S, PASSING, POLL_S, Option, common
from tollway.streams.settings import WorkerSettings

__all__ = [
    "POSITION_KEY",
    "LogBounds",
    "Written",
    "log_bounds",
    "partition_counts",
    "read_ledger",
    "reader",
    "records",
]

_BATCH = 5000
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
    """How many partitions each topic has; 0 where it does not exist.

    Raises `ConnectionError` where no broker answers.
    """
    consumer = reader(settings)
    try:
        known = consumer.list_topics(timeout=BROKER_S).topics
    except KafkaException as error:
        raise ConnectionError(f"no broker at {settings.brokers}: {error.args[0].str()}") from None
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


def log_bounds(settings: WorkerSettings, topic: str, partition: int) -> LogBounds:
    """As `ChunkFetcher` reads a log: what is not committed counts too.

    The end is where a fetch ends: an open transaction of another partition's books hides what
    follows it from those who ask for what is committed, and the embedded broker names too low an
    end.
    """
    place = TopicPartition(topic, partition)
    extra: dict[str, Option] = {
        "isolation.level": "read_uncommitted",
        "enable.partition.eof": True,
    }
    consumer = reader(settings, extra)
    try:
        first, end = _watermarks(consumer, place)
        at = end
        while True:
            at = max(first, at - 1 if at == end else at - 2 * (end - at))
            last, end = _last_from(consumer, TopicPartition(topic, partition, at))
            if last >= 0 or at == first:
                return LogBounds(first, end, last)
    finally:
        consumer.close()


def _watermarks(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """Asked again while the partition changes leaders, as the client does for what it fetches."""
    end_s = time.monotonic() + BROKER_S
    while True:
        try:
            return consumer.get_watermark_offsets(place, timeout=BROKER_S)
        except KafkaException as error:
            if error.args[0].code() not in PASSING or time.monotonic() > end_s:
                raise
            time.sleep(POLL_S)


def _last_from(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """The last record from there on, -1 for none, and the end."""
    last = -1
    consumer.assign([place])
    while True:
        for message in consumer.consume(_BATCH, POLL_S):
            error, offset = message.error(), message.offset()
            if error is None:
                last = -1 if offset is None else offset
            elif error.code() == KafkaError._PARTITION_EOF and offset is not None:
                return last, offset
            elif not error.retriable():
                raise KafkaException(error)


@dataclass(frozen=True, slots=True)
class Written:
    """The newest committed value of each key in a partition of the ledger; tombstones are gone.

    `torn` keys have been written since by a closing that was cut off.
    """

    newest: dict[bytes, bytes]
    torn: frozenset[bytes]


def read_ledger(settings: WorkerSettings, partition: int) -> Written:
    """What whole closings wrote: each ends with the position.

    The embedded broker also shows what was aborted, and a closing that a crash cut off has no
    position. Whoever writes the next one writes what it tore again first.
    """
    newest: dict[bytes, bytes] = {}
    closing: dict[bytes, bytes | None] = {}
    for message in records(settings, LEDGER.name, partition):
        key, value = message.key(), message.value()
        if key is None:
            continue
        closing[key] = value
        if key == POSITION_KEY:
            _take_over(newest, closing)
    return Written(newest, frozenset(closing))


def _take_over(newest: dict[bytes, bytes], closing: dict[bytes, bytes | None]) -> None:
    for key, value in closing.items():
        if value is None:
            newest.pop(key, None)
        else:
            newest[key] = value
    closing.clear()


def records(
    settings: WorkerSettings, topic: str, partition: int, first: int | None = None
) -> Iterator[Message]:
    """What is committed, from `first` or the beginning to the end that there is by then."""
    place = TopicPartition(topic, partition)
    consumer = reader(settings, {"enable.partition.eof": True, "check.crcs": False})
    try:
        # Told to look for the beginning itself, the client waits half a second first.
        place.offset = _watermarks(consumer, place)[0] if first is None else first
        consumer.assign([place])
        yield from _until_end(consumer)
    finally:
        consumer.close()


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
