"""Reads the commands of owned partitions."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka import KafkaError, Message, TopicPartition

from tollway.contract.topics import COMMANDS
from tollway.streams.kafka.options import POLL_S, Option
from tollway.streams.kafka.reading import reader
from tollway.streams.settings import WorkerSettings

__all__ = ["CommandReader", "CommandRecord"]


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
        # Where the log does not have what comes next it is another one, or has lost it.
        extra: dict[str, Option] = {"fetch.wait.max.ms": 500, "auto.offset.reset": "error"}
        self._consumer = reader(settings, extra)
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
            message = self._consumer.poll(POLL_S)
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
            if self._changed.is_set() or self._wanted.get(partition, offset + 1) > offset:
                # Left behind by an assignment that is over; what is still wanted is read again.
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
