"""Sends lines to `tollway.usage`, and knows where each of them ended up."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic, sleep, time_ns

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from tollway.cli.failing import fail, in_words
from tollway.cli.replay.runs import Moved, Stamp
from tollway.contract.topics import USAGE

__all__ = ["Sent", "Span", "send"]

CONFIRM_SECONDS = 120.0
_QUEUE_MESSAGES = 50_000


@dataclass
class Span:
    """The first and the last offset in one partition."""

    first: int
    last: int
    records: int = 0


@dataclass
class Sent:
    """What the broker confirmed, and what it did not."""

    records: int = 0
    failed: int = 0
    first_failure: str | None = None
    seconds: float = 0.0
    spans: dict[int, Span] = field(default_factory=dict)
    # The broker's time of the earliest record.
    since_ms: int = 2**62

    def confirmed(self, error: KafkaError | None, message: Message) -> None:
        partition, offset = message.partition(), message.offset()
        if error is not None or partition is None or offset is None:
            self.failed += 1
            self.first_failure = self.first_failure or (error.str() if error else "no offset")
            return
        self.records += 1
        self.since_ms = min(self.since_ms, message.timestamp()[1])
        span = self.spans.setdefault(partition, Span(offset, offset))
        span.first, span.last = min(span.first, offset), max(span.last, offset)
        span.records += 1


def send(
    brokers: str,
    lines: Iterable[Moved],
    stamp: Stamp,
    *,
    in_real_time: bool,
    rate: int | None,
    progress: Callable[[int], None],
) -> Sent:
    """Sends everything, `rate` a second at most; returns when the broker has answered for all."""
    sent = Sent()
    producer = Producer(
        {
            "bootstrap.servers": brokers,
            "partitioner": "murmur2_random",
            "acks": "all",
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 20,
            "queue.buffering.max.messages": _QUEUE_MESSAGES,
            # What is larger than an event may be is to arrive and be refused, not to fail here.
            "message.max.bytes": int(USAGE.config["max.message.bytes"]),
            "log_level": 0,
        }
    )
    _require_topic(producer, brokers)
    started = monotonic()
    for number, line in enumerate(lines):
        if in_real_time:
            _wait(producer, line.at_ms / 1000 - time_ns() / 1e9)
        if rate is not None:
            _wait(producer, started + number / rate - monotonic())
        _produce(producer, line.workspace.encode(), stamp.stamp(line), sent)
        progress(number + 1)
    unconfirmed = producer.flush(CONFIRM_SECONDS)
    sent.failed += unconfirmed
    if unconfirmed:
        sent.first_failure = sent.first_failure or f"no answer within {CONFIRM_SECONDS:.0f} s"
    sent.seconds = monotonic() - started
    return sent


def _require_topic(producer: Producer, brokers: str) -> None:
    try:
        topic = producer.list_topics(USAGE.name, timeout=10.0).topics[USAGE.name]
    except KafkaException as error:
        fail(
            f"the brokers at {brokers} do not answer ({in_words(error)}); is `tollway up` running?"
        )
    if topic.error is not None:
        fail(f"{USAGE.name} does not exist on {brokers}: `tollway topics create` makes it")


def _wait(producer: Producer, seconds: float) -> None:
    # Short pauses add up to nothing but wake-ups; the next line waits for both.
    if seconds < 0.001:
        return
    deadline = monotonic() + seconds
    while (left := deadline - monotonic()) > 0:
        producer.poll(0)
        sleep(min(left, 0.1))


def _produce(producer: Producer, key: bytes, value: bytes, sent: Sent) -> None:
    while True:
        try:
            producer.produce(USAGE.name, value, key, on_delivery=sent.confirmed)
        except BufferError:
            producer.poll(0.1)
            continue
        except KafkaException as error:
            # Too large even for the topic: this one fails, the others go on.
            sent.failed += 1
            sent.first_failure = sent.first_failure or in_words(error)
        producer.poll(0)
        return
