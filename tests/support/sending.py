"""Sends the log of a fault run to its topics."""

from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from tollway.contract.topics import COMMANDS, USAGE
from workload import LogLine

__all__ = ["Sender", "Sent"]

_POLL_S = 0.02


@dataclass
class Sent:
    """The offset of the last record sent to each partition."""

    last_usage: dict[int, int] = field(default_factory=dict)
    last_commands: dict[int, int] = field(default_factory=dict)


class Sender:
    """Sends records in the order of the file; none is lost or doubled on the way."""

    def __init__(self, bootstrap: str, sent: Sent, *, recorded: bool) -> None:
        self._recorded = recorded
        self._sent = sent
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                # It is killed on purpose: nobody wants to read of each attempt to reach it.
                "log_level": 0,
                "enable.idempotence": True,
                "linger.ms": 5,
                "message.max.bytes": 16 * 1024 * 1024,
                "delivery.timeout.ms": 600_000,
                "queue.buffering.max.messages": 1_000_000,
            }
        )

    def send(self, line: LogLine) -> None:
        topic = USAGE.name if line.topic == "usage" else COMMANDS.name
        stamp_ms = line.stamp_ms if self._recorded and line.topic == "usage" else 0
        while True:
            try:
                self._producer.produce(
                    topic,
                    line.value,
                    line.key,
                    line.partition,
                    on_delivery=self._delivered,
                    timestamp=stamp_ms,
                    headers=dict(line.headers) if line.headers else None,
                )
            except BufferError:
                self.poll(_POLL_S)
            else:
                return

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            raise KafkaException(error)
        sent = self._sent
        last = sent.last_usage if message.topic() == USAGE.name else sent.last_commands
        last[message.partition() or 0] = message.offset() or 0

    def poll(self, timeout_s: float) -> None:
        self._producer.poll(timeout_s)

    def flush(self) -> None:
        if left := self._producer.flush(120.0):
            raise TimeoutError(f"{left} records could not be sent")
