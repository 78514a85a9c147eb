"""Reads topics for the fault tests: heartbeats while they run, everything when they are over."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from sending import Sent
from tollway.contract.control import Heartbeat
from tollway.contract.topics import CONTROL
from tollway.domain.records import Headers

__all__ = ["Ends", "Heartbeats", "Read", "Topics", "committed_ends"]

_MARK = b'"type":"heartbeat"'


def _consumer(bootstrap: str, isolation: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "tollway-fault-tests",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "fetch.queue.backoff.ms": 5,
            "fetch.wait.max.ms": 10,
            "log_level": 0,
            "fetch.message.max.bytes": 8 * 1024 * 1024,
        }
    )


class Heartbeats:
    """The newest of each partition."""

    def __init__(self, bootstrap: str, partitions: int) -> None:
        self._consumer = _consumer(bootstrap, "read_uncommitted")
        self._consumer.assign(
            [TopicPartition(CONTROL.name, p, OFFSET_END) for p in range(partitions)]
        )
        self._newest: dict[int, Heartbeat] = {}
        self._decode = msgspec.json.Decoder(Heartbeat).decode

    def _hear(self) -> None:
        for message in self._consumer.consume(1000, 0.1):
            value = message.value()
            if message.error() is None and value is not None and _MARK in value:
                beat = self._decode(value)
                self._newest[beat.partition] = beat

    def reached(self, sent: Sent) -> bool:
        """Whether workers have applied all that was sent, as far as they say."""
        self._hear()
        return all(
            partition in self._newest and self._newest[partition].usage_offset >= offset
            for partition, offset in sent.last_usage.items()
        ) and all(
            partition in self._newest and self._newest[partition].commands_offset >= offset
            for partition, offset in sent.last_commands.items()
        )

    def rests(self, for_s: float) -> bool:
        """Whether no offset has moved for so long: what workers send each other is applied too."""
        before = self._places()
        until_s = time.monotonic() + for_s
        while time.monotonic() < until_s:
            self._hear()
        return self._places() == before

    def _places(self) -> dict[int, tuple[int, int]]:
        return {
            partition: (beat.usage_offset, beat.commands_offset)
            for partition, beat in self._newest.items()
        }

    def close(self) -> None:
        self._consumer.close()


class Read(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None
    stamp_ms: int
    headers: Headers | None


# The offset after the last record or mark of each (topic, partition).
Ends = dict[tuple[str, int], int]


class Topics:
    """Reads partitions from their beginning to their end; `ends` says where each ended."""

    def __init__(self, bootstrap: str) -> None:
        self.ends: Ends = {}
        # A consumer takes a second to begin and to end, so two read everything.
        self._consumers = {
            isolation: _consumer(bootstrap, isolation)
            for isolation in ("read_committed", "read_uncommitted")
        }

    def read(self, topic: str, partition: int, isolation: str = "read_committed") -> Iterator[Read]:
        consumer = self._consumers[isolation]
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
        for message in _until_end(consumer):
            error, offset = message.error(), message.offset()
            assert offset is not None
            if error is not None:
                self.ends[(topic, partition)] = offset
                return
            key, value = _raw(message.key()), _raw(message.value())
            yield Read(offset, key, value, message.timestamp()[1], message.headers())

    def close(self) -> None:
        for consumer in self._consumers.values():
            consumer.close()


def _until_end(consumer: Consumer) -> Iterator[Message]:
    """Records, and last the message that says where the partition ends."""
    while True:
        for message in consumer.consume(5000, 0.05):
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                if error.retriable() or error.code() == KafkaError._TRANSPORT:
                    continue
                raise KafkaException(error)
            yield message


def _raw(content: str | bytes | None) -> bytes | None:
    return content.encode() if isinstance(content, str) else content


def committed_ends(bootstrap: str, group: str, ends: Ends) -> dict[tuple[str, int], int]:
    """How far a group has committed in each partition; 0 where it has not."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    wanted = [TopicPartition(topic, partition) for topic, partition in ends]
    answer = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, wanted)])
    places = answer[group].result(30.0).topic_partitions
    return {(each.topic, each.partition): max(0, each.offset) for each in places}
