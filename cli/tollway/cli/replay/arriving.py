"""Waits until what was sent is in ClickHouse: by offsets, so it is exact, whoever else sends."""

from collections.abc import Callable
from time import monotonic

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition

from tollway.api.kafka import KafkaSinkLag
from tollway.cli.failing import fail, in_words
from tollway.cli.replay.sending import Span
from tollway.contract.ledger_entries import PositionEntry
from tollway.contract.topics import LEDGER

__all__ = ["Books", "wait_until_stored"]

SINKS_GROUP = "tollway-sinks"
ANSWER_SECONDS = 10.0
_POLL_SECONDS = 0.5
_position = msgspec.json.Decoder(PositionEntry)


class Books:
    """The worker's positions from now on: which usage records its closed books hold."""

    def __init__(self, brokers: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": "tollway-replay",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "log_level": 0,
            }
        )
        self._applied: dict[int, int] = {}
        try:
            known = self._consumer.list_topics(LEDGER.name, timeout=ANSWER_SECONDS)
            self._consumer.assign(
                [self._end(each) for each in known.topics[LEDGER.name].partitions]
            )
        except KafkaException as error:
            fail(f"the brokers at {brokers} do not answer ({in_words(error)})")

    def _end(self, partition: int) -> TopicPartition:
        at = TopicPartition(LEDGER.name, partition)
        _, end = self._consumer.get_watermark_offsets(at, timeout=ANSWER_SECONDS)
        at.offset = end
        return at

    def wait(self, spans: dict[int, Span], deadline: float) -> list[int]:
        """The partitions whose books do not hold their span by then: none when all is well."""
        while waiting := [
            partition
            for partition, span in spans.items()
            if self._applied.get(partition, -1) < span.last
        ]:
            if monotonic() > deadline:
                return waiting
            for message in self._consumer.consume(5000, _POLL_SECONDS):
                value, partition = message.value(), message.partition()
                if message.error() is None and message.key() == b"position" and value is not None:
                    self._applied[partition or 0] = _position.decode(value).usage_offset
        return []

    def close(self) -> None:
        self._consumer.close()


def wait_until_stored(
    brokers: str, books: Books, spans: dict[int, Span], seconds: float, say: Callable[[str], None]
) -> None:
    deadline = monotonic() + seconds
    say("waiting until the books hold it")
    behind = books.wait(spans, deadline)
    if behind:
        fail(
            f"after {seconds:.0f} s the books of partitions {', '.join(map(str, behind))} do not"
            " hold what was sent; is a worker running (`tollway doctor`)?"
        )
    say("waiting until ClickHouse holds it")
    sinks = KafkaSinkLag(brokers, SINKS_GROUP)
    # Whatever the books made of it stands before these ends.
    ends = sinks.ends()
    while not sinks.stored(ends):
        if monotonic() > deadline:
            fail(
                f"after {seconds:.0f} s the sinks have not stored all of it; are they running"
                " (`tollway doctor`)?"
            )
