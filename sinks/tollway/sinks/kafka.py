"""The room's one home of confluent_kafka: the topics as a group member, and dead letters."""

import logging
from collections.abc import Mapping
from typing import Final

import msgspec
from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from tollway.contract.deadletter import DeadLetter
from tollway.contract.topics import DEADLETTER
from tollway.sinks.metrics import SinkMetrics
from tollway.sinks.pump import CommitFailed, Polled
from tollway.sinks.records import Place, Record
from tollway.sinks.rows import SINK_TOPICS
from tollway.sinks.writer import LettersUnconfirmed

__all__ = ["KafkaLetters", "KafkaSource"]

# Poll returns at most so many; memory is bounded by the queue's bytes.
_POLL_RECORDS: Final = 2000
_QUEUED_KIB: Final = 16 * 1024
_ASK_TIMEOUT_S: Final = 5.0
_LETTERS_TIMEOUT_S: Final = 20.0

_log = logging.getLogger(__name__)


class KafkaSource:
    """Reads the sinks' topics as one member of `group`, only what is committed."""

    def __init__(
        self, brokers: str, group: str, session_timeout_ms: int, metrics: SinkMetrics
    ) -> None:
        self._metrics = metrics
        self._assigned: set[Place] = set()
        self._lost: list[Place] = []
        # The next offset of each partition, as far as it was read.
        self._reached: dict[Place, int] = {}
        self._ends: dict[Place, int] | None = None
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": group,
                "client.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "session.timeout.ms": session_timeout_ms,
                "heartbeat.interval.ms": max(1, session_timeout_ms // 3),
                "queued.max.messages.kbytes": _QUEUED_KIB,
                "fetch.queue.backoff.ms": 20,
                "topic.metadata.refresh.interval.ms": 10_000,
            }
        )
        self._consumer.subscribe(
            list(SINK_TOPICS),
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )

    def poll(self, timeout_s: float) -> Polled:
        records: list[Record] = []
        ends: dict[Place, int] = {}
        for message in self._consumer.consume(_POLL_RECORDS, timeout_s):
            record = self._read(message, ends)
            if record is not None:
                self._reached[record.place] = record.offset + 1
                records.append(record)
        lost, self._lost = self._lost, []
        for place in lost:
            # Of the assignment that has ended, maybe: its records are to be read again.
            ends.pop(place, None)
        return Polled(records, lost, ends)

    def _read(self, message: Message, ends: dict[Place, int]) -> Record | None:
        error = message.error()
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                if topic is not None and partition is not None and offset is not None:
                    self._reached[(topic, partition)] = ends[(topic, partition)] = offset
            elif error.fatal():
                raise KafkaException(error)
            else:
                # librdkafka tries again by itself: brokers away, topics not made yet.
                _log.warning("kafka: %s", error)
            return None
        if topic is None or partition is None or offset is None:
            raise TypeError(f"a message without a place: {topic} {partition} {offset}")
        return Record(
            topic=topic,
            partition=partition,
            offset=offset,
            key=_as_bytes(message.key()),
            value=_as_bytes(message.value()),
            timestamp_ms=max(0, message.timestamp()[1]),
        )

    def commit(self, offsets: dict[Place, int]) -> None:
        wanted = [TopicPartition(*place, offset) for place, offset in offsets.items()]
        try:
            taken = self._consumer.commit(offsets=wanted, asynchronous=False)
        except KafkaException as error:
            raise CommitFailed(str(error)) from error
        errors = [str(each.error) for each in taken if each.error is not None]
        if errors:
            raise CommitFailed("; ".join(errors))

    def pause(self) -> None:
        self._consumer.pause(self._consumer.assignment())

    def resume(self) -> None:
        self._consumer.resume(self._consumer.assignment())

    def assigned(self) -> bool:
        return bool(self._assigned)

    def lag(self) -> dict[str, int]:
        lag: dict[str, int] = {}
        for place in self._assigned:
            low, high = self._marks(place, cached=True) or (0, 0)
            reached = self._reached.get(place, max(low, 0))
            lag[place[0]] = lag.get(place[0], 0) + max(0, high - reached)
        return lag

    def drained(self) -> bool:
        """Whether all is read that was there when this was first asked."""
        if self._ends is None:
            self._ends = self._fresh_ends()
        return all(self._reached.get(place, 0) >= end for place, end in self._ends.items())

    def close(self) -> None:
        self._consumer.close()

    def _fresh_ends(self) -> dict[Place, int]:
        ends = {}
        for place in self._assigned:
            try:
                marks = self._marks(place)
            except KafkaException as error:
                _log.warning("no end of %s/%d, so it is not waited for: %s", *place, error)
                break
            if marks is not None:
                ends[place] = marks[1]
        return ends

    def _marks(self, place: Place, *, cached: bool = False) -> tuple[int, int] | None:
        """The first and the next offset of a partition, as a reader of what is committed sees."""
        return self._consumer.get_watermark_offsets(
            TopicPartition(*place), timeout=_ASK_TIMEOUT_S, cached=cached
        )

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        places = [(each.topic, each.partition) for each in partitions]
        self._assigned.update(places)
        try:
            self._begin(consumer.committed(partitions, timeout=_ASK_TIMEOUT_S))
        except KafkaException as error:
            # Only what is said about losses and lag waits; reading does not.
            _log.warning("committed offsets are not known yet: %s", error)

    def _begin(self, committed: list[TopicPartition]) -> None:
        """Notes where reading begins, and says so where the log has already dropped records."""
        for each in committed:
            if each.offset < 0:
                continue
            place = (each.topic, each.partition)
            self._reached[place] = each.offset
            marks = self._marks(place)
            if marks is not None and marks[0] > each.offset:
                lost = marks[0] - each.offset
                self._metrics.lost_records.labels(each.topic).inc(lost)
                _log.error(
                    "%s/%d dropped %d records before they were stored: its retention is shorter"
                    " than the sinks were away",
                    *place,
                    lost,
                )

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        for each in partitions:
            place = (each.topic, each.partition)
            self._assigned.discard(place)
            self._reached.pop(place, None)
            self._lost.append(place)


def _as_bytes(content: str | bytes | None) -> bytes | None:
    return content.encode() if isinstance(content, str) else content


class KafkaLetters:
    """Dead letters to their topic; returns once the broker has confirmed each."""

    def __init__(self, brokers: str) -> None:
        config: Mapping[str, str | int | bool] = {
            "bootstrap.servers": brokers,
            "client.id": "tollway-sinks",
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "linger.ms": 5,
            "message.timeout.ms": int(_LETTERS_TIMEOUT_S * 1000) - 1000,
            # Key and value can be 64 KiB each before base64.
            "message.max.bytes": 2 * 1024 * 1024,
        }
        self._producer = Producer(dict(config))
        self._encode = msgspec.json.Encoder().encode

    def send(self, letters: list[tuple[bytes | None, DeadLetter]]) -> None:
        failures: list[str] = []

        def confirmed(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failures.append(str(error))

        for key, letter in letters:
            value = self._encode(letter)
            try:
                self._producer.produce(DEADLETTER.name, value, key, on_delivery=confirmed)
            except BufferError:
                self._producer.flush(_LETTERS_TIMEOUT_S)
                raise LettersUnconfirmed("the queue to the broker is full") from None
            self._producer.poll(0)
        waiting = self._producer.flush(_LETTERS_TIMEOUT_S)
        if waiting or failures:
            raise LettersUnconfirmed(
                f"{waiting} of {len(letters)} unconfirmed; {'; '.join(failures[:3])}"
            )
