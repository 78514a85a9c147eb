"""Kafka for the SDK: the outbox that produces usage events, the tail that reads decisions."""

import ctypes
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from tollway.contract.topics import CONTROL, USAGE, partition_of
from tollway.producers.errors import BadSettings
from tollway.producers.outbox import LossReason, OutboxClosed, OutboxFull
from tollway.producers.settings import Settings

__all__ = ["QUEUE_KIBIBYTES", "QUEUE_MESSAGES", "ControlReader", "ControlTail", "KafkaOutbox"]

QUEUE_MESSAGES = 10_000
QUEUE_KIBIBYTES = 32 * 1024
# Longer than outages last: what is queued is lost only when the process ends.
MESSAGE_TIMEOUT_MS = 24 * 60 * 60 * 1000
PATIENCE_WITH_TOPIC_MS = 60 * 60 * 1000
_POLL_S = 0.1
_METADATA_TIMEOUT_S = 0.5
_RETRY_S = 0.5
# The number of partitions may have changed.
_FIND_AGAIN_S = 60.0
_BATCH = 1_000

Client = TypeVar("Client", Producer, Consumer)

_log = logging.getLogger("tollway")

_CLIENT = {
    "client.id": "tollway",
    # Its own lines go to stderr of the host; errors come to `_say_once` instead.
    "log_level": "0",
    "socket.keepalive.enable": "true",
    "reconnect.backoff.ms": "50",
    "reconnect.backoff.max.ms": "1000",
}
_PRODUCER = {
    "linger.ms": "5",
    "compression.type": "lz4",
    "message.timeout.ms": str(MESSAGE_TIMEOUT_MS),
    "queue.buffering.max.messages": str(QUEUE_MESSAGES),
    "queue.buffering.max.kbytes": str(QUEUE_KIBIBYTES),
    # An agent may start before anybody has created the topics.
    "topic.metadata.propagation.max.ms": str(PATIENCE_WITH_TOPIC_MS),
}
# What the books rely on; not to be set otherwise.
_PRODUCER_FIXED = {
    "enable.idempotence": "true",
    "acks": "all",
    "partitioner": "murmur2_random",
    "delivery.report.only.error": "true",
}
_CONSUMER = {
    "fetch.wait.max.ms": "100",
    "fetch.queue.backoff.ms": "10",
    "fetch.error.backoff.ms": "50",
    "topic.metadata.refresh.interval.ms": "60000",
}
_CONSUMER_FIXED = {
    # Needed by the driver; there is no group, nothing is committed.
    "group.id": "tollway-guard",
    "enable.auto.commit": "false",
    "enable.auto.offset.store": "false",
    "auto.offset.reset": "earliest",
    "enable.partition.eof": "true",
    # Decisions are written outside transactions and must not wait for one that is open.
    "isolation.level": "read_uncommitted",
}


class ControlReader(Protocol):
    """Whom a tail tells what it reads: the guard."""

    workspace: str

    def take(self, key: bytes, value: bytes | None, age_s: float) -> bool: ...

    def caught_up(self) -> None: ...


class KafkaOutbox:
    """Produces to `tollway.usage`; librdkafka holds what waits, bounded, outside Python."""

    def __init__(
        self,
        settings: Settings,
        *,
        on_lost: Callable[[bytes, LossReason], None],
        each_second: Callable[[], None],
    ) -> None:
        config = _configuration(settings, _PRODUCER, _PRODUCER_FIXED)
        self._limit = int(config["queue.buffering.max.messages"])
        self._on_lost = on_lost
        self._each_second = each_second
        self._closed = False
        self._complaints = _Complaints()
        self._config = {
            **config,
            "on_delivery": self._delivered,
            "error_cb": self._complaints.hear,
        }
        self._producer = _opened(Producer, self._config)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="tollway-outbox", daemon=True)
        self._thread.start()

    def put(self, key: bytes, value: bytes) -> None:
        if self._closed:
            raise OutboxClosed
        try:
            self._producer.produce(USAGE.name, value, key)
        except BufferError:
            raise OutboxFull from None

    def has_room(self) -> bool:
        return 2 * len(self._producer) <= self._limit

    def queued(self) -> int:
        return len(self._producer)

    def flush(self, timeout_s: float) -> int:
        return self._producer.flush(timeout_s)

    def close(self, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        self._producer.flush(timeout_s)
        self._closed = True
        self._stop.set()
        self._thread.join(max(0.0, deadline_s - time.monotonic()) + 2 * _POLL_S)
        # What is left is handed to `_delivered`, which counts it.
        self._producer.purge(in_queue=True, in_flight=True)
        self._producer.flush(_POLL_S)

    def abandon(self) -> None:
        self._closed = True
        self._stop.set()
        _never_free(self._producer)

    def _serve(self) -> None:
        next_s = 0.0
        while not self._stop.is_set():
            self._producer.poll(_POLL_S)
            if time.monotonic() >= next_s:
                next_s = time.monotonic() + 1.0
                self._each_second()

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        value = message.value()
        if error is not None and isinstance(value, bytes):
            self._on_lost(value, _loss_reason(error))


def _loss_reason(error: KafkaError) -> LossReason:
    code = error.code()
    if code == KafkaError._MSG_TIMED_OUT:
        return "timeout"
    if code in {KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}:
        return "shutdown"
    return "refused"


class ControlTail:
    """A thread that follows one partition of `tollway.control`, from its beginning."""

    def __init__(self, settings: Settings, reader: ControlReader) -> None:
        self._reader = reader
        self._complaints = _Complaints()
        config = _configuration(settings, _CONSUMER, _CONSUMER_FIXED)
        self._consumer = _opened(Consumer, {**config, "error_cb": self._complaints.hear})
        self._live = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tollway-guard", daemon=True)
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        self._stop.set()
        self._thread.join(timeout_s)

    def abandon(self) -> None:
        self._stop.set()
        _never_free(self._consumer)

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

    def _assign(self, partition: int) -> None:
        self._live = False
        self._consumer.assign([TopicPartition(CONTROL.name, partition, OFFSET_BEGINNING)])

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
                _bytes(message.key()),
                None if value is None else _bytes(value),
                self._age_s(message),
            )
        if error.code() == KafkaError._PARTITION_EOF:
            self._live = True
            self._reader.caught_up()
            return False
        self._complaints.hear(error)
        # The topic went, or has fewer partitions: find the partition anew.
        return error.code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION}

    def _age_s(self, message: Message) -> float:
        # By the clocks only while reading what stood there: they may differ between machines.
        if self._live:
            return 0.0
        return max(0.0, time.time() - message.timestamp()[1] / 1000)


class _Complaints:
    """Says each kind of error once: a broker that is away would fill the host's log."""

    def __init__(self) -> None:
        self._said: set[int] = set()

    def hear(self, error: KafkaError) -> None:
        code = error.code()
        if code not in self._said:
            self._said.add(code)
            _log.warning("kafka: %s: %s; the next such ones are not logged", error.name(), error)


def _opened(kind: Callable[[dict[str, Any]], Client], config: dict[str, Any]) -> Client:
    try:
        return kind(config)
    except KafkaException as error:
        raise BadSettings(f"librdkafka refuses a setting: {error.args[0].str()}") from None


def _never_free(client: object) -> None:
    """Freeing a client in a forked child ends the child: its threads are the parent's."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(client))


def _bytes(text: str | bytes | None) -> bytes:
    return text if isinstance(text, bytes) else (text or "").encode()


def _configuration(
    settings: Settings, chosen: dict[str, str], fixed: dict[str, str]
) -> dict[str, str]:
    brokers = {"bootstrap.servers": settings.brokers or ""}
    return {**_CLIENT, **chosen, **settings.kafka, **fixed, **brokers}
