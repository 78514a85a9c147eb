"""What `tollway doctor` asks of Kafka."""

from time import monotonic, time
from uuid import uuid4

import msgspec
from confluent_kafka import (
    OFFSET_END,
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # the stubs do not re-export
    AdminClient,
    NewTopic,
)

from tollway.cli.kafka.topics import create_topics
from tollway.contract.control import ControlRecord, Heartbeat
from tollway.contract.topics import CONTROL

__all__ = ["broker_clock_ms", "heartbeats", "known_partitions", "topic_differences"]

ANSWER_SECONDS = 5.0
# A worker gives one a second for each partition.
LISTEN_SECONDS = 3.5

_decode = msgspec.json.Decoder(ControlRecord).decode


def known_partitions(brokers: str) -> dict[str, int] | None:
    """Partitions by topic; None where no broker answers."""
    try:
        topics = _admin(brokers).list_topics(timeout=ANSWER_SECONDS).topics
    except KafkaException:
        return None
    return {name: len(topic.partitions) for name, topic in topics.items()}


def topic_differences(brokers: str, partitions: int) -> list[str]:
    """Settings that differ from the contract's; all topics must be there, so none is made."""
    return list(create_topics(brokers, partitions).differences)


def heartbeats(brokers: str) -> set[int]:
    """The partitions that a worker is heard from, listening for a few seconds."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "tollway-doctor",
            "enable.auto.commit": False,
            "log_level": 0,
        }
    )
    heard: set[int] = set()
    try:
        known = consumer.list_topics(CONTROL.name, timeout=ANSWER_SECONDS).topics[CONTROL.name]
        wanted = set(known.partitions)
        consumer.assign([TopicPartition(CONTROL.name, each, OFFSET_END) for each in wanted])
        deadline = monotonic() + LISTEN_SECONDS
        while heard != wanted and monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                heard.update(_heard(message))
    except KafkaException:
        return heard
    finally:
        consumer.close()
    return heard


def _heard(message: Message) -> list[int]:
    try:
        record = _decode(message.value() or b"")
    except msgspec.DecodeError:
        return []
    return [record.partition] if isinstance(record, Heartbeat) else []


def broker_clock_ms(brokers: str) -> int | None:
    """How far the broker's clock is ahead of ours; None where it does not say.

    A broker tells its time only with a record that it has appended: so one, in a topic of its own.
    """
    admin = _admin(brokers)
    name = f"tollway.doctor.{uuid4().hex[:8]}"
    settings = {"message.timestamp.type": "LogAppendTime"}
    topic = NewTopic(name, num_partitions=1, replication_factor=1, config=settings)
    try:
        admin.create_topics([topic])[name].result(ANSWER_SECONDS)
        try:
            return _append_time_ahead_ms(brokers, name)
        finally:
            admin.delete_topics([name])[name].result(ANSWER_SECONDS)
    except (KafkaException, TimeoutError):
        return None


def _append_time_ahead_ms(brokers: str, topic: str) -> int | None:
    producer = Producer(
        {"bootstrap.servers": brokers, "linger.ms": 0, "message.timeout.ms": 5000, "log_level": 0}
    )
    ahead: int | None = None
    # The first request also looks for the leader; the second is as fast as the broker is.
    for _ in range(2):
        reports: list[Message] = []
        sent_ms = time() * 1000
        producer.produce(topic, b"", on_delivery=lambda _, message: reports.append(message))  # noqa: B023  # flushed within the turn
        producer.flush(ANSWER_SECONDS)
        answered_ms = time() * 1000
        if reports and reports[0].error() is None:
            kind, appended_ms = reports[0].timestamp()
            if kind == TIMESTAMP_LOG_APPEND_TIME:
                ahead = round(appended_ms - (sent_ms + answered_ms) / 2)
    return ahead


def _admin(brokers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": brokers, "log_level": 0})
