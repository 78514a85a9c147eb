"""The outbox over librdkafka: produces usage events."""

import threading
import time
from collections.abc import Callable

import msgspec
from confluent_kafka import (
    KafkaError,
    KafkaException,
    Message,
    Producer,
)

from tollway.contract.topics import USAGE
from tollway.producers.complaints import Complaints
from tollway.producers.kafka_clients import never_free, opened, raw
from tollway.producers.kafka_properties import Statistics, producer_properties
from tollway.producers.outbox import (
    LossReason,
    OutboxClosed,
    OutboxFull,
    OutboxRefused,
)
from tollway.producers.settings import Settings

__all__ = ["KafkaOutbox"]

_POLL_S = 0.1
# Epochs of a producer id in one second; a healthy one needs a new one in months.
_HOPELESS_EPOCHS = 3
_HANDED_ON = frozenset(
    {KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT, KafkaError._FATAL, KafkaError._DESTROY}
)
_METADATA_TIMEOUT_S = 0.5
_RETRY_S = 0.5
# The number of partitions may have changed.
_FIND_AGAIN_S = 60.0
_BATCH = 1_000


class KafkaOutbox:
    """Produces to `tollway.usage`; librdkafka holds what waits, bounded, outside Python."""

    def __init__(
        self,
        settings: Settings,
        *,
        on_lost: Callable[[bytes, LossReason], None],
        each_second: Callable[[], None],
    ) -> None:
        config = producer_properties(settings)
        self._limit = int(config["queue.buffering.max.messages"])
        self._on_lost = on_lost
        self._each_second = each_second
        self._closed = False
        self._complaints = Complaints()
        self._config = {
            **config,
            "on_delivery": self._delivered,
            "error_cb": self._complained,
            "stats_cb": self._measured,
        }
        self._producer = opened(Producer, self._config)
        # The one before this, given up but perhaps still held by a thread inside `put`.
        self._retired: Producer | None = None
        self._given_up = False
        self._epoch = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="tollway-outbox", daemon=True)
        self._thread.start()

    def put(self, key: bytes, value: bytes) -> None:
        if self._closed:
            raise OutboxClosed
        try:
            self._producer.produce(USAGE.name, value, key)
        except BufferError:
            raise OutboxFull from None
        except KafkaException as error:
            raise OutboxRefused(error.args[0].name()) from None

    def has_room(self) -> bool:
        return 2 * len(self._producer) <= self._limit

    def queued(self) -> int:
        # What librdkafka has to tell us, such as an error of a broker, counts in its queue as well.
        self._producer.poll(0)
        return len(self._producer)

    def flush(self, timeout_s: float) -> int:
        deadline_s = time.monotonic() + timeout_s
        while True:
            producer = self._producer
            left = producer.flush(max(0.0, deadline_s - time.monotonic()))
            # Renewed meanwhile: the new one has what is left.
            if producer is self._producer:
                return left

    def close(self, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        self.flush(timeout_s)
        self._closed = True
        self._stop.set()
        self._thread.join(max(0.0, deadline_s - time.monotonic()) + 2 * _POLL_S)
        # What is left comes to `_delivered`, which counts it.
        self._retired = None
        _empty(self._producer)

    def abandon(self) -> None:
        self._closed = True
        self._stop.set()
        never_free(self._producer)

    def _serve(self) -> None:
        next_s = 0.0
        while not self._stop.is_set():
            self._producer.poll(_POLL_S)
            if time.monotonic() >= next_s:
                next_s = time.monotonic() + 1.0
                self._each_tick()

    def _each_tick(self) -> None:
        try:
            if self._retired is not None:
                _empty(self._retired)
                self._retired = None
            if self._given_up:
                self._renew()
            self._each_second()
        except Exception as error:  # noqa: BLE001 (without this thread nothing is ever delivered)
            self._complaints.say("FAULT", f"tollway failed with {type(error).__name__}")

    def _renew(self) -> None:
        """A producer that cannot go on hands what it held to a new one; the worker sees through
        what arrives twice, by (producer, seq)."""
        self._retired, self._producer = self._producer, opened(Producer, self._config)
        self._given_up, self._epoch = False, 0
        _empty(self._retired)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        value = message.value()
        if error is None or not isinstance(value, bytes):
            return
        if self._retired is None or error.code() not in _HANDED_ON:
            self._on_lost(value, _loss_reason(error))
            return
        try:
            self.put(raw(message.key()), value)
        except OutboxFull:
            self._on_lost(value, "queue_full")
        except (OutboxRefused, OutboxClosed):
            self._on_lost(value, _loss_reason(error))

    def _complained(self, error: KafkaError) -> None:
        # After a fatal error librdkafka takes nothing more.
        self._given_up = self._given_up or error.fatal()
        self._complaints.say(error.name(), f"kafka: {error.str()}")

    def _measured(self, statistics: str) -> None:
        figures = msgspec.json.decode(statistics, type=Statistics)
        epoch = figures.eos.producer_epoch
        bumped, self._epoch = epoch - self._epoch, epoch
        # A broker that lost its memory (the embedded one, restarted) knows no producer id that
        # it did not give out; librdkafka would ask it for ever, with one epoch after another.
        if figures.msg_cnt and bumped >= _HOPELESS_EPOCHS:
            self._given_up = True


def _empty(producer: Producer) -> None:
    """Everything that it holds comes back through its delivery callback."""
    producer.purge(in_queue=True, in_flight=True)
    producer.flush(_POLL_S)


def _loss_reason(error: KafkaError) -> LossReason:
    code = error.code()
    if code == KafkaError._MSG_TIMED_OUT:
        return "timeout"
    if code in {KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}:
        return "shutdown"
    return "refused"
