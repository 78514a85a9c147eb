"""The tail over librdkafka: reads what the worker decided."""

import threading
import time

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from tollway.contract.topics import CONTROL, partition_of
from tollway.producers.complaints import Complaints
from tollway.producers.kafka_clients import never_free, opened, raw
from tollway.producers.kafka_properties import consumer_properties
from tollway.producers.outbox import ControlReader
from tollway.producers.settings import Settings

__all__ = ["ControlTail"]

_POLL_S = 0.1
_METADATA_TIMEOUT_S = 0.5
_RETRY_S = 0.5
# The number of partitions may have changed.
_FIND_AGAIN_S = 60.0
# Ten times as long as the worker lets pass before it publishes again what stands: room for clocks
# that differ by minutes.
_RECENT_S = 300.0


class ControlTail:
    """A thread that follows one partition of `tollway.control`.

    It begins a few minutes back: what stands is published again every 30 s. Where no heartbeat
    stands there, no worker has published since, and it reads from the beginning.
    """

    def __init__(self, settings: Settings, reader: ControlReader) -> None:
        self._reader = reader
        self._complaints = Complaints()
        config = consumer_properties(settings)
        self._consumer = opened(Consumer, {**config, "error_cb": self._complained})
        self._live = False
        # Whether it began later than at the beginning.
        self._shortened = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tollway-guard", daemon=True)
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        self._stop.set()
        self._thread.join(timeout_s)

    def abandon(self) -> None:
        self._stop.set()
        never_free(self._consumer)

    def _run(self) -> None:
        assigned: int | None = None
        while not self._stop.is_set():
            found = self._find()
            # While the broker is away, where it was is as good as any.
            partition = assigned if found is None else found
            if partition is None:
                # Serves the client's errors; there is nothing to read yet.
                self._consumer.poll(_RETRY_S)
                continue
            if partition != assigned:
                self._assign(partition)
                assigned = partition
            if self._follow(partition):
                assigned = None
        self._consumer.close()

    def _find(self) -> int | None:
        """The workspace's partition; None while the broker or the topic is not there."""
        try:
            metadata = self._consumer.list_topics(CONTROL.name, timeout=_METADATA_TIMEOUT_S)
        except KafkaException:
            return None
        partitions = len(metadata.topics[CONTROL.name].partitions)
        return partition_of(self._reader.workspace, partitions) if partitions else None

    def _assign(self, partition: int, first: int | None = None) -> None:
        self._live = False
        offset = self._recent(partition) if first is None else first
        self._shortened = offset != OFFSET_BEGINNING
        self._consumer.assign([TopicPartition(CONTROL.name, partition, offset)])

    def _recent(self, partition: int) -> int:
        """The first offset of the last few minutes; the beginning where there is none."""
        since_ms = int((time.time() - _RECENT_S) * 1000)
        wanted = [TopicPartition(CONTROL.name, partition, since_ms)]
        try:
            (found,) = self._consumer.offsets_for_times(wanted, timeout=_METADATA_TIMEOUT_S)
        except KafkaException:
            return OFFSET_BEGINNING
        return OFFSET_BEGINNING if found.error or found.offset <= 0 else found.offset

    def _follow(self, partition: int) -> bool:
        """Reads for a while; says whether to begin at the beginning again."""
        until_s = time.monotonic() + _FIND_AGAIN_S
        while not self._stop.is_set() and time.monotonic() < until_s:
            message = self._consumer.poll(_POLL_S)
            while message is not None:
                if self._take(message):
                    return True
                message = self._consumer.poll(0)
        return False

    def _take(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            value = message.value()
            return self._reader.take(
                raw(message.key()),
                None if value is None else raw(value),
                self._age_s(message),
            )
        if error.code() == KafkaError._PARTITION_EOF:
            self._end_reached(message)
            return False
        self._complained(error)
        # The topic went, or has fewer partitions: find the partition anew.
        return error.code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION}

    def _end_reached(self, message: Message) -> None:
        partition = message.partition()
        if self._shortened and partition is not None and not self._reader.has_heard():
            self._assign(partition, OFFSET_BEGINNING)
        else:
            self._live = True
            self._reader.caught_up()

    def _complained(self, error: KafkaError) -> None:
        self._complaints.say(error.name(), f"kafka: {error.str()}")

    def _age_s(self, message: Message) -> float:
        # By the clocks only while reading what stood there: they may differ between machines.
        if self._live:
            return 0.0
        return max(0.0, time.time() - message.timestamp()[1] / 1000)
