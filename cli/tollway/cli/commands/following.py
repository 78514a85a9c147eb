"""Reads topics from their ends on, without a group, and says each record in one line."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from time import time

import msgspec
from confluent_kafka import (
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from tollway.cli.commands.show import subject_text
from tollway.cli.failing import fail
from tollway.contract.control import ControlRecord, Decision, Finding, Heartbeat
from tollway.contract.topics import CONTROL
from tollway.contract.usage import UsageEvent
from tollway.domain.cloudevents import envelope_of, unwrap
from tollway.domain.reading import Unreadable, read_usage
from tollway.domain.records import Headers

__all__ = ["Followed", "follow", "line_of"]

ANSWER_SECONDS = 10.0
_POLL_SECONDS = 0.5

_control: msgspec.json.Decoder[ControlRecord] = msgspec.json.Decoder(ControlRecord)


@dataclass(frozen=True, kw_only=True)
class Followed:
    topic: str
    partition: int
    offset: int
    value: bytes | None
    headers: Headers | None = None


def follow(brokers: str, topics: Sequence[str]) -> Generator[Followed]:
    """Every record from now on; ends when its reader does."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "tollway-tail",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    try:
        past = _Past(time())
        consumer.assign(_ends(consumer, brokers, topics))
        while True:
            message = consumer.poll(_POLL_SECONDS)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._ALL_BROKERS_DOWN:
                    fail(f"the brokers at {brokers} are gone")
                if error.code() == KafkaError._PARTITION_EOF:
                    past.ends(message)
                continue
            if past.holds(message):
                continue
            yield Followed(
                topic=message.topic() or "",
                partition=message.partition() or 0,
                offset=message.offset() or 0,
                value=message.value(),
                headers=message.headers(),
            )
    finally:
        consumer.close()


class _Past:
    """What was in a partition before: the embedded broker tells too low an end (docs/kafka.md)."""

    def __init__(self, now_s: float) -> None:
        self._now_ms = int(now_s * 1000)
        self._over: set[tuple[str | None, int | None]] = set()

    def ends(self, message: Message) -> None:
        """The end of a partition was reached: what follows is new, whatever its time says."""
        self._over.add((message.topic(), message.partition()))

    def holds(self, message: Message) -> bool:
        if (message.topic(), message.partition()) in self._over:
            return False
        return message.timestamp()[1] < self._now_ms


def _ends(consumer: Consumer, brokers: str, topics: Sequence[str]) -> list[TopicPartition]:
    try:
        known = consumer.list_topics(timeout=ANSWER_SECONDS).topics
    except KafkaException:
        fail(f"the brokers at {brokers} do not answer; is `tollway up` running?")
    missing = [topic for topic in topics if topic not in known]
    if missing:
        fail(f"{', '.join(missing)} do not exist: `tollway topics create` makes them")
    return [
        TopicPartition(topic, partition, OFFSET_END)
        for topic in topics
        for partition in known[topic].partitions
    ]


def line_of(record: Followed, wanted: frozenset[str], workspace: str | None) -> str | None:
    """None for what is not to be shown. Only names and numbers are: no field of free text."""
    if record.value is None:
        return None
    message: ControlRecord | UsageEvent
    try:
        if record.topic == CONTROL.name:
            message = _control.decode(record.value)
        else:
            message = _usage_of(record.value, record.headers)
    except (msgspec.DecodeError, Unreadable):
        return f"unreadable  {record.topic}/{record.partition} @ {record.offset}"
    if isinstance(message, Heartbeat) or workspace not in (None, message.workspace):
        return None
    return _line(message, wanted)


def _usage_of(value: bytes, headers: Headers | None) -> UsageEvent:
    envelope = envelope_of(headers) if headers else None
    return read_usage(value) if envelope is None else unwrap(value, envelope)


def _line(message: Decision | Finding | UsageEvent, wanted: frozenset[str]) -> str | None:
    match message:
        case Decision() if "decisions" in wanted:
            shown = [
                message.issued_at,
                f"{message.action:<6}",
                f"{message.workspace}: {subject_text(message.subject)}",
                message.rule,
                message.message,
            ]
        case Finding() if "findings" in wanted:
            shown = [
                message.time,
                f"{message.level:<6}",
                f"{message.workspace}: {message.agent} {message.session or ''}".rstrip(),
                message.detector,
                message.message,
            ]
        case UsageEvent() if "usage" in wanted:
            shown = [
                message.time,
                f"{message.kind:<6}",
                f"{message.workspace}: {message.agent} {message.session or ''}".rstrip(),
                message.model or message.tool or "",
                f"in {message.input_tokens:,} out {message.output_tokens:,}",
                message.connection or "",
            ]
        case _:
            return None
    line = "  ".join(part for part in shown if part)
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in line)
