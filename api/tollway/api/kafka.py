"""The API's home of confluent-kafka: appends commands, and tells how far the sinks are behind."""

from collections.abc import Iterable
from threading import Lock
from time import monotonic, sleep

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

from tollway.api.ports import Appended, LogUnavailable, TopicLag
from tollway.contract.command import Command, command_adapter
from tollway.contract.topics import CHARGES, COMMANDS, CONTROL, DEADLETTER, LEDGER

__all__ = ["KafkaCommandLog", "KafkaSinkLag", "Offsets"]

CONFIRM_SECONDS = 6.0
ANSWER_SECONDS = 5.0
_AGAIN_SECONDS = 0.1
# What brokers answer while a coordinator moves, and just after they have started.
_MOVING = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
    }
)
# Up to here the records behind are counted one by one, above it by their offsets.
COUNTED_RECORDS_MAX = 500
# The embedded broker tells 0 as the end while a transaction is open: then reading finds it.
UNKNOWN_END = 2**62

Offsets = dict[tuple[str, int], int]

_EARLIEST = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # the stubs lack it
_LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the stubs lack it
# As `control_key` begins for a `Heartbeat`.
_HEARTBEAT = b"heartbeat|"
_STORED_TOPICS = (CHARGES, LEDGER, CONTROL, COMMANDS, DEADLETTER)


class KafkaCommandLog:
    """Appends to `tollway.commands`, keyed by workspace, confirmed by all replicas."""

    def __init__(self, brokers: str) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": brokers,
                "client.id": "tollway-api",
                "partitioner": "murmur2_random",
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 0,
                "message.timeout.ms": int(CONFIRM_SECONDS * 1000) - 1000,
            }
        )

    def append(self, command: Command) -> Appended:
        confirmed: list[tuple[KafkaError | None, Message]] = []
        try:
            self._producer.produce(
                COMMANDS.name,
                key=command.workspace.encode(),
                value=command_adapter.dump_json(command, exclude_none=True),
                on_delivery=lambda error, message: confirmed.append((error, message)),
            )
        except (BufferError, KafkaException) as error:
            raise LogUnavailable(f"the command was not written: {_why(error)}") from error
        deadline = monotonic() + CONFIRM_SECONDS
        # Another request's poll may serve our confirmation, so ours never waits for long.
        while not confirmed and monotonic() < deadline:
            self._producer.poll(0.01)
        return _appended(confirmed, command.id)

    def reachable(self) -> bool:
        try:
            self._producer.list_topics(COMMANDS.name, timeout=3.0)
        except KafkaException:
            return False
        return True


def _appended(confirmed: list[tuple[KafkaError | None, Message]], command_id: str) -> Appended:
    if not confirmed:
        raise LogUnavailable(
            f"Kafka did not confirm command {command_id} within {CONFIRM_SECONDS:.0f} s; it may"
            " still arrive, and sending it again is harmless"
        )
    error, message = confirmed[0]
    partition, offset = message.partition(), message.offset()
    if error is not None or partition is None or offset is None:
        raise LogUnavailable(f"Kafka did not take command {command_id}: {_why(error)}")
    return Appended(topic=COMMANDS.name, partition=partition, offset=offset)


def _why(error: object) -> str:
    """In words: as text, the client's errors are code."""
    if isinstance(error, KafkaException):
        error = error.args[0]
    return error.str() if isinstance(error, KafkaError) else str(error)


class KafkaSinkLag:
    """Compares what the sinks' group has committed with the ends of their topics."""

    def __init__(self, brokers: str, group: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": brokers})
        # It reads the group's offsets and never subscribes, so it takes no partition from a sink.
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": group,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 10,
            }
        )
        self._lock = Lock()

    def topics(self) -> list[TopicLag]:
        """Records that each topic's sink has not stored; raises `LogUnavailable`."""
        with self._lock:
            try:
                ends = self._ends(IsolationLevel.READ_COMMITTED)
                starts = self._starts(ends)
                behind = {
                    where: self._records_between(
                        where, start, ends[where] if ends[where] >= start else UNKNOWN_END
                    )
                    for where, start in starts.items()
                }
            except KafkaException as error:
                raise LogUnavailable(f"Kafka did not answer: {_why(error)}") from error
        topics = dict.fromkeys((topic for topic, _ in behind), 0)
        for (topic, _), records in behind.items():
            topics[topic] += records
        return [TopicLag(topic=topic, records=records) for topic, records in topics.items()]

    def at_most(self) -> int:
        """Offsets behind in all: quick, and counts markers and heartbeats too."""
        with self._lock:
            try:
                ends = self._ends(IsolationLevel.READ_COMMITTED)
                starts = self._starts(ends)
            except KafkaException as error:
                raise LogUnavailable(f"Kafka did not answer: {_why(error)}") from error
        return sum(max(0, end - starts[where]) for where, end in ends.items())

    def ends(self) -> Offsets:
        """Up to where there is something to store now, or once its transaction is committed."""
        with self._lock:
            return self._ends(IsolationLevel.READ_UNCOMMITTED)

    def stored(self, ends: Offsets) -> bool:
        """Whether the sinks have stored everything before these ends."""
        with self._lock:
            # A transaction that a reader was told of may not be readable in each topic yet.
            readable = self._ends(IsolationLevel.READ_COMMITTED)
            if any(readable[where] < end for where, end in ends.items()):
                return False
            return not any(
                self._records_between(where, start, ends[where] or UNKNOWN_END)
                for where, start in self._starts(ends).items()
            )

    def _ends(self, isolation: IsolationLevel) -> Offsets:
        known = self._consumer.list_topics(timeout=ANSWER_SECONDS).topics
        partitions = [
            TopicPartition(topic.name, partition)
            for topic in _STORED_TOPICS
            if topic.name in known
            for partition in known[topic.name].partitions
        ]
        return self._offsets(partitions, _LATEST, isolation)

    def _starts(self, ends: Offsets) -> Offsets:
        """What follows the last record that is stored, of each partition."""
        partitions = [TopicPartition(topic, partition) for topic, partition in ends]
        firsts = self._offsets(partitions, _EARLIEST)
        # Below 0 where nothing is committed yet.
        return {
            (at.topic, at.partition): max(at.offset, firsts[at.topic, at.partition])
            for at in self._committed(partitions)
        }

    def _committed(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Asked again while the group's coordinator moves, as the client does not by itself."""
        end_s = monotonic() + ANSWER_SECONDS
        while True:
            try:
                return self._consumer.committed(partitions, timeout=ANSWER_SECONDS)
            except KafkaException as error:
                if error.args[0].code() not in _MOVING or monotonic() > end_s:
                    raise
                sleep(_AGAIN_SECONDS)

    def _offsets(
        self,
        partitions: Iterable[TopicPartition],
        spec: OffsetSpec,
        isolation: IsolationLevel = IsolationLevel.READ_COMMITTED,
    ) -> Offsets:
        futures = self._admin.list_offsets(
            dict.fromkeys(partitions, spec),
            isolation_level=isolation,
            request_timeout=ANSWER_SECONDS,
        )
        return {
            (at.topic, at.partition): future.result(ANSWER_SECONDS).offset
            for at, future in futures.items()
        }

    def _records_between(self, where: tuple[str, int], start: int, end: int) -> int:
        """Near the end counts what is to be stored: offsets also belong to transactions' markers.

        A reader that has read everything still stands before the last marker; and heartbeats,
        which nobody stores, come each second.
        """
        if end <= start:
            return 0
        if end != UNKNOWN_END and end - start > COUNTED_RECORDS_MAX:
            return end - start
        self._consumer.assign([TopicPartition(*where, start)])
        deadline = monotonic() + ANSWER_SECONDS
        records = 0
        while records < COUNTED_RECORDS_MAX and monotonic() < deadline:
            message = self._consumer.poll(ANSWER_SECONDS)
            error = message.error() if message is not None else None
            if message is None or error is not None:
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                break
            if (message.offset() or 0) >= end:
                break
            records += not _is_heartbeat(message)
        self._consumer.unassign()
        return records


def _is_heartbeat(message: Message) -> bool:
    key = message.key()
    return message.topic() == CONTROL.name and key is not None and bytes(key).startswith(_HEARTBEAT)
