"""The worker's home of confluent-kafka: transactions, the ledger's records, commands, decisions."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from tollway.contract.topics import COMMANDS, CONTROL, LEDGER, USAGE
from tollway.streams.settings import WorkerSettings

__all__ = [
    "Books",
    "CommandReader",
    "CommandRecord",
    "ControlWriter",
    "Fenced",
    "LogBounds",
    "Outgoing",
    "partition_counts",
    "read_ledger",
    "usage_bounds",
]

_BROKER_S = 30.0
_TRANSACTION_S = 60.0
# A record of the broker has at most this size: the topics that the worker writes allow it.
_MAX_MESSAGE_BYTES = 16 * 1024 * 1024
# Short waits: `consume` waits out its full time at the end of a partition.
_POLL_S = 0.05
_BATCH = 5000


class Fenced(RuntimeError):
    """Another worker owns the partition now; what this one holds is no longer the books."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to write. `partition` -1 lets the key decide, by murmur2."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None


Option = str | int | float | bool


def _common(settings: WorkerSettings) -> dict[str, Option]:
    return {"bootstrap.servers": settings.brokers, "client.id": "tollway-worker", **settings.kafka}


def _producer(settings: WorkerSettings, extra: dict[str, Option]) -> Producer:
    return Producer(
        {
            **_common(settings),
            "enable.idempotence": True,
            "acks": "all",
            "partitioner": "murmur2_random",
            "message.max.bytes": _MAX_MESSAGE_BYTES,
            "compression.type": "lz4",
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
) -> None:
    """Queues a record; where the queue is full of what the broker has not taken, waits for room."""
    while True:
        try:
            producer.produce(topic, value, key, partition, on_delivery=on_delivery)
        except BufferError:
            producer.poll(_POLL_S)
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
            self._producer.init_transactions(_BROKER_S)
        except KafkaException as error:
            raise _said(error, partition) from error

    def write(self, records: Sequence[Outgoing]) -> None:
        """Writes all or nothing. Raises `Fenced`, or `KafkaException` where it must be given up."""
        producer = self._producer
        try:
            producer.begin_transaction()
            for record in records:
                _produce(producer, record.topic, record.partition, record.key, record.value)
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
    """Publishes decisions at once: no linger, confirmed in the background.

    A decision that cannot be delivered is given to `on_failure`, from the writer's thread.
    """

    def __init__(self, settings: WorkerSettings, on_failure: Callable[[str], None]) -> None:
        self._producer = _producer(
            settings, {"linger.ms": 0, "compression.type": "none", "delivery.timeout.ms": 60_000}
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

    def flush(self, timeout_s: float) -> None:
        self._producer.flush(timeout_s)

    def close(self) -> None:
        self.flush(5.0)
        self._stop.set()
        self._thread.join(1.0)


def _reader(settings: WorkerSettings, extra: dict[str, Option] | None = None) -> Consumer:
    return Consumer(
        {
            **_common(settings),
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
    consumer = _reader(settings)
    try:
        known = consumer.list_topics(timeout=_BROKER_S).topics
    finally:
        consumer.close()
    return {name: len(known[name].partitions) if name in known else 0 for name in topics}


@dataclass(frozen=True, slots=True)
class LogBounds:
    """The first offset that a log still has, and the one after its last."""

    first: int
    end: int


def usage_bounds(settings: WorkerSettings, partition: int) -> LogBounds:
    consumer = _reader(settings)
    try:
        first, end = consumer.get_watermark_offsets(
            TopicPartition(USAGE.name, partition), timeout=_BROKER_S
        )
    finally:
        consumer.close()
    return LogBounds(first, end)


def read_ledger(settings: WorkerSettings, partition: int) -> dict[bytes, bytes]:
    """The newest committed value of each key in a partition of the ledger; tombstones are gone."""
    newest: dict[bytes, bytes] = {}
    consumer = _reader(settings, {"enable.partition.eof": True, "check.crcs": False})
    try:
        consumer.assign([TopicPartition(LEDGER.name, partition, OFFSET_BEGINNING)])
        for message in _until_end(consumer):
            key, value = message.key(), message.value()
            if key is None:
                continue
            if value is None:
                newest.pop(key, None)
            else:
                newest[key] = value
    finally:
        consumer.close()
    return newest


def _until_end(consumer: Consumer) -> Iterator[Message]:
    while True:
        for message in consumer.consume(_BATCH, _POLL_S):
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                return
            elif not error.retriable():
                raise KafkaException(error)


@dataclass(frozen=True, slots=True)
class CommandRecord:
    partition: int
    offset: int
    stamp_ms: int
    key: bytes | None
    value: bytes | None


class CommandReader:
    """Reads the commands of owned partitions in a thread, and hands each over as it comes.

    Beside Faust's consumer: commands have their own position, in the books.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        on_command: Callable[[CommandRecord], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self._consumer = _reader(settings, {"fetch.wait.max.ms": 500})
        self._on_command = on_command
        self._on_failure = on_failure
        self._wanted: dict[int, int] = {}
        self._changed = threading.Event()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read, name="tollway-commands", daemon=True)
        self._thread.start()

    def follow(self, partition: int, first_offset: int) -> None:
        with self._lock:
            self._wanted[partition] = first_offset
        self._changed.set()

    def leave(self, partition: int) -> None:
        with self._lock:
            self._wanted.pop(partition, None)
        self._changed.set()

    def _read(self) -> None:
        while not self._stop.is_set():
            if self._changed.is_set():
                self._assign()
            message = self._consumer.poll(_POLL_S)
            if message is not None:
                self._hand_over(message)

    def _assign(self) -> None:
        with self._lock:
            self._changed.clear()
            wanted = dict(self._wanted)
        self._consumer.assign(
            [TopicPartition(COMMANDS.name, partition, at) for partition, at in wanted.items()]
        )

    def _hand_over(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if not error.retriable() and error.code() != KafkaError._PARTITION_EOF:
                self._on_failure(f"commands cannot be read: {error.str()}")
            return
        partition, offset = message.partition(), message.offset()
        if partition is None or offset is None:
            return
        with self._lock:
            if self._wanted.get(partition, offset + 1) > offset:
                # Left behind by an assignment that is over.
                return
            self._wanted[partition] = offset + 1
        self._on_command(
            CommandRecord(
                partition,
                offset,
                message.timestamp()[1],
                _bytes(message.key()),
                _bytes(message.value()),
            )
        )

    def close(self) -> None:
        self._stop.set()
        self._thread.join(2.0)
        self._consumer.close()


def _bytes(raw: bytes | str | None) -> bytes | None:
    return raw.encode() if isinstance(raw, str) else raw
