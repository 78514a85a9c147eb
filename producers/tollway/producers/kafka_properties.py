"""What we ask of librdkafka, what users may ask otherwise, and what nobody may."""

from typing import Any

import msgspec

from tollway.producers.settings import Settings

__all__ = [
    "MESSAGE_TIMEOUT_MS",
    "PATIENCE_WITH_TOPIC_MS",
    "QUEUE_KIBIBYTES",
    "QUEUE_MESSAGES",
    "STATISTICS_INTERVAL_MS",
    "Statistics",
    "consumer_properties",
    "producer_properties",
]

QUEUE_MESSAGES = 10_000
QUEUE_KIBIBYTES = 32 * 1024
# Longer than outages last: what is queued is lost only when the process ends.
MESSAGE_TIMEOUT_MS = 24 * 60 * 60 * 1000
# librdkafka counts this in microseconds in 32 bits: 35 minutes would be no patience at all.
PATIENCE_WITH_TOPIC_MS = 30 * 60 * 1000
STATISTICS_INTERVAL_MS = 1_000

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
_PRODUCER_FIXED: dict[str, Any] = {
    "enable.idempotence": "true",
    "acks": "all",
    "partitioner": "murmur2_random",
    "delivery.report.only.error": True,
    "statistics.interval.ms": str(STATISTICS_INTERVAL_MS),
    # A topic that an agent made would have the broker's number of partitions, not ours.
    "allow.auto.create.topics": "false",
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
    # Most decisions are written outside transactions, and none may wait for one that is open.
    # What a command decided is in one, and is decided again if that is aborted.
    "isolation.level": "read_uncommitted",
}


class _Idempotence(msgspec.Struct, frozen=True):
    producer_epoch: int = 0


class Statistics(msgspec.Struct, frozen=True):
    """Of librdkafka's statistics, what we look at."""

    msg_cnt: int = 0
    eos: _Idempotence = _Idempotence()


def producer_properties(settings: Settings) -> dict[str, Any]:
    return {**_CLIENT, **_PRODUCER, **settings.kafka, **_PRODUCER_FIXED, **_brokers(settings)}


def consumer_properties(settings: Settings) -> dict[str, Any]:
    return {**_CLIENT, **_CONSUMER, **settings.kafka, **_CONSUMER_FIXED, **_brokers(settings)}


def _brokers(settings: Settings) -> dict[str, str]:
    return {"bootstrap.servers": settings.brokers or ""}
