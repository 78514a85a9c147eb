"""Writes books in transactions, and decisions at once."""

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from tollway.contract.topics import CONTROL
from tollway.domain.records import Headers
from tollway.streams.kafka.options import BROKER_S, POLL_S, Option, common
from tollway.streams.settings import WorkerSettings

__all__ = ["Books", "ControlWriter", "Fenced", "Outgoing"]

_TRANSACTION_S = 60.0
# A record of the broker has at most this size: the topics that the worker writes allow it.
_MAX_MESSAGE_BYTES = 16 * 1024 * 1024
# What one slice of records decides leaves together: without any linger, each of a hundred
# decisions would wake the client's thread and be a request of its own.
LINGER_MS = 0.3


class Fenced(RuntimeError):
    """Another worker owns the partition now; what this one holds is no longer the books."""


class Outgoing(NamedTuple):
    """One record to write. `partition` -1 lets the key decide, by murmur2."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers | None = None


def _producer(settings: WorkerSettings, extra: dict[str, Option]) -> Producer:
    return Producer(
        {
            **common(settings),
            "enable.idempotence": True,
            "acks": "all",
            "partitioner": "murmur2_random",
            "message.max.bytes": _MAX_MESSAGE_BYTES,
            "compression.type": "lz4",
            # A callback for each record that went well costs more than the record.
            "delivery.report.only.error": True,
            **extra,
        }
    )


def _produce(
    producer: Producer,
    topic: str,
    partition: int,
    key: bytes | None,
    value: bytes | None,
    on_delivery: Callable[[KafkaError | None, Message], None] | None = None,
    headers: Headers | None = None,
) -> None:
    """Queues a record; where the queue is full of what the broker has not taken, waits for room."""
    while True:
        try:
            producer.produce(topic, value, key, partition, on_delivery=on_delivery, headers=headers)
        except BufferError:
            producer.poll(POLL_S)
        else:
            return


class Books:
    """Writes one partition's books, each closing one transaction.

    Making it fences whoever wrote them before. Its methods block: they belong in a thread.
    """

    def __init__(self, settings: WorkerSettings, partition: int) -> None:
        self._partition = partition
        self._producer = _producer(
            settings,
            {
                "transactional.id": f"{settings.transactional_prefix}-{partition}",
                "transaction.timeout.ms": int(_TRANSACTION_S * 1000),
                "linger.ms": 5,
                "queue.buffering.max.messages": 1_000_000,
                "queue.buffering.max.kbytes": 256 * 1024,
            },
        )
        try:
            self._producer.init_transactions(BROKER_S)
        except KafkaException as error:
            raise _said(error, partition) from error

    def write(self, records: Sequence[Outgoing]) -> None:
        """Writes all or nothing. Raises `Fenced`, or `KafkaException` where it must be given up."""
        producer = self._producer
        try:
            producer.begin_transaction()
            for record in records:
                topic, partition, key, value, headers = record
                _produce(producer, topic, partition, key, value, headers=headers)
            producer.commit_transaction(_TRANSACTION_S)
        except KafkaException as error:
            raise _said(error, self._partition) from error


def _said(error: KafkaException, partition: int) -> Exception:
    cause = error.args[0]
    if isinstance(cause, KafkaError) and cause.code() in {
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
    }:
        return Fenced(f"partition {partition} has another owner now: {cause.str()}")
    return error


class ControlWriter:
    """Publishes decisions at once, confirmed in the background.

    A decision that cannot be delivered is given to `on_failure`, from the writer's thread.
    """

    def __init__(self, settings: WorkerSettings, on_failure: Callable[[str], None]) -> None:
        self._producer = _producer(
            settings,
            {"linger.ms": LINGER_MS, "compression.type": "none", "delivery.timeout.ms": 60_000},
        )
        self._on_failure = on_failure
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="tollway-control", daemon=True)
        self._thread.start()

    def publish(self, partition: int, key: str, value: bytes) -> None:
        _produce(self._producer, CONTROL.name, partition, key.encode(), value, self._delivered)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._on_failure(f"a decision could not be published: {error.str()}")

    def _poll(self) -> None:
        while not self._stop.is_set():
            self._producer.poll(0.1)

    def flush(self, timeout_s: float) -> bool:
        """Whether all that was published by now is with the broker."""
        return not self._producer.flush(timeout_s)

    def close(self) -> None:
        self.flush(5.0)
        self._stop.set()
        self._thread.join(1.0)
