"""The room's one home of confluent_kafka: the topics as a group member, and dead letters."""

import logging
import time
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # the stubs do not re-export
    AdminClient,
    OffsetSpec,
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
_QUIET_S: Final = 0.5
_FIRST: Final = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # it has no annotation
_END: Final = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # it has no annotation

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
        # Read to their end, as of the newest answer of the broker.
        self._at_end: set[Place] = set()
        # What `drained` waits for: the ends when it was first asked, and when that was.
        self._ends: dict[Place, int] | None = None
        self._asked_s = 0.0
        # Its own connection: on the consumer's, a question waits until a fetch comes back empty.
        self._admin = AdminClient({"bootstrap.servers": brokers, "client.id": group})
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
                self._at_end.discard(record.place)
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
                    self._at_end.add((topic, partition))
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
            low, high = self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)
            reached = self._reached.get(place, max(low, 0))
            lag[place[0]] = lag.get(place[0], 0) + max(0, high - reached)
        return lag

    def drained(self) -> bool:
        """Whether all is read that was there when this was first asked.

        The embedded broker names ends that are too low, so its fetches have the last word: each
        partition must have been read to its end, and nothing new may have come for a moment.
        """
        if self._ends is None:
            self._ends = self._fresh_ends()
            self._asked_s = time.monotonic()
        return (
            self._at_end >= self._assigned
            and all(self._reached.get(place, 0) >= end for place, end in self._ends.items())
            and time.monotonic() - self._asked_s >= _QUIET_S
        )

    def close(self) -> None:
        self._consumer.close()

    def _fresh_ends(self) -> dict[Place, int]:
        try:
            return self._ask(_END, self._assigned)
        except KafkaException as error:
            _log.warning("the ends are not known, so only fetches tell them: %s", error)
            return {}

    def _ask(self, spec: OffsetSpec, places: Iterable[Place]) -> dict[Place, int]:
        """Offsets of partitions as a reader of what is committed sees them, in one request."""
        wanted = {TopicPartition(*place): spec for place in places}
        if not wanted:
            return {}
        answers = self._admin.list_offsets(
            wanted,
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=_ASK_TIMEOUT_S,
        )
        return {
            (place.topic, place.partition): answer.result(_ASK_TIMEOUT_S).offset
            for place, answer in answers.items()
        }

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
        begins = {(each.topic, each.partition): each.offset for each in committed}
        begins = {place: offset for place, offset in begins.items() if offset >= 0}
        self._reached.update(begins)
        for place, first in self._ask(_FIRST, begins).items():
            lost = first - begins[place]
            if lost > 0:
                self._metrics.lost_records.labels(place[0]).inc(lost)
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
            self._at_end.discard(place)
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
