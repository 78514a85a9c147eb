"""A stand-in for the worker: reads what agents sent, publishes decisions."""

import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from tollway import meter
from tollway.contract.control import ControlRecord, Decision, Heartbeat, control_key
from tollway.contract.topics import CONTROL, DEFAULT_PARTITIONS, USAGE, partition_of
from tollway.contract.usage import UsageEvent

__all__ = ["DEADLINE_S", "Worker", "eventually", "is_blocked"]

DEADLINE_S = 30.0


def eventually(holds: Callable[[], bool], deadline_s: float = DEADLINE_S) -> bool:
    end = time.monotonic() + deadline_s
    pause = threading.Event()
    while not holds():
        if time.monotonic() > end:
            return False
        pause.wait(0.02)
    return True


class Worker:
    """Stands in for the worker: reads what agents sent, publishes decisions."""

    def __init__(self, bootstrap: str, workspace: str) -> None:
        self.bootstrap = bootstrap
        self.workspace = workspace
        self.partition = partition_of(workspace, DEFAULT_PARTITIONS)
        self._version = 0

    def events(self, at_least: int) -> list[UsageEvent]:
        """All events of the workspace, once there are as many."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "t", "log_level": 0})
        consumer.assign([TopicPartition(USAGE.name, self.partition, OFFSET_BEGINNING)])
        end = time.monotonic() + DEADLINE_S
        found: list[UsageEvent] = []
        quiet = 0
        while time.monotonic() < end and (len(found) < at_least or quiet < 5):
            message = consumer.poll(0.1)
            quiet = quiet + 1 if message is None else 0
            if message is None or message.error() or message.key() != self.workspace.encode():
                continue
            found.append(msgspec.json.decode(message.value() or b"", type=UsageEvent))
        consumer.close()
        return found

    def say(self, *records: ControlRecord, minutes_ago: float = 0.0) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap, "log_level": 0})
        written_ms = int((time.time() - 60 * minutes_ago) * 1000)
        for record in records:
            producer.produce(
                CONTROL.name,
                msgspec.json.encode(record),
                control_key(record).encode(),
                self.partition,
                timestamp=written_ms,
            )
        assert producer.flush(DEADLINE_S) == 0

    def beat(self, generation: int = 0) -> None:
        self.say(
            Heartbeat(
                partition=self.partition,
                generation=generation,
                usage_offset=0,
                commands_offset=0,
                issued_at="2026-01-31T12:00:00.000Z",
            )
        )

    def decision(self, action: str, **subject: str) -> Decision:
        self._version += 1
        document = {
            "type": "decision",
            "id": str(self._version),
            "workspace": self.workspace,
            "subject": subject,
            "rule": "manual",
            "action": action,
            "reason": "manual",
            "message": "somebody pulled the plug",
            "cause": {"partition": 0, "offset": -1, "event_id": ""},
            "version": [0, 0, self._version],
            "issued_at": "2026-01-31T12:00:00.000Z",
        }
        return msgspec.convert(document, Decision)


def is_blocked(**dimensions: str) -> bool:
    named: dict[str, Any] = dict(dimensions)  # Any: check() wants the names spelt out
    try:
        meter.check(**named)
    except meter.CallBlocked:
        return True
    return False
