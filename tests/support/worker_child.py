"""One worker as a process, on a broker of its own, and what it makes of records."""

import json
import signal
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

from tollway.cli.children import Child
from tollway.cli.kafka.broker import free_port
from tollway.contract.charge import Charge
from tollway.contract.deadletter import DeadLetter
from tollway.contract.topics import CHARGES, DEADLETTER, USAGE

__all__ = ["DEADLINE_S", "PARTITIONS", "WorkerChild", "charges", "dead_letters", "send", "until"]

DEADLINE_S = 60.0
PARTITIONS = 4

_RUN = """
import json, sys
from tollway.streams.app import run_worker
from tollway.streams.settings import WorkerSettings
run_worker(WorkerSettings(**json.loads(sys.argv[1])))
"""


def until(
    holds: Callable[[], bool],
    what: str,
    deadline_s: float = DEADLINE_S,
    *,
    worker: Child | None = None,
) -> None:
    """Waits for a condition; where it does not come, the error shows the log of `worker`."""
    end_s = time.monotonic() + deadline_s
    while not holds():
        if time.monotonic() > end_s:
            log = "" if worker is None else f"; its log:\n{worker.tail()}"
            raise AssertionError(f"waited {deadline_s:g} s for {what}{log}")
        signal.sigtimedwait((), 0.05)


class WorkerChild:
    """Use it from one thread: Linux ends the process with that thread."""

    def __init__(self, directory: Path, bootstrap: str, **settings: object) -> None:
        self._port = free_port()
        document = {
            "brokers": bootstrap,
            "web_port": self._port,
            "session_timeout_s": 6.0,
            "data_dir": str(directory / "data"),
            **settings,
        }
        command = [sys.executable, "-c", _RUN, json.dumps(document)]
        self.child = Child("worker", command, log=directory / "worker.log", cwd=directory)

    def start(self) -> None:
        self.child.start()

    def start_until_ready(self) -> None:
        self.start()
        until(lambda: self.partitions() > 0, "a ready worker", worker=self.child)

    def partitions(self) -> int:
        """How many it owns and has recovered; 0 while it is not ready."""
        return len(self.ready() or ())

    def ready(self) -> set[str] | None:
        """Which partitions it owns and has recovered; None while it is not ready."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz") as answer:
                return set(json.load(answer)["partitions"])
        except (URLError, ConnectionError):
            return None

    def exit_code(self) -> int | None:
        until(lambda: not self.child.running, "the worker's end", worker=self.child)
        return self.child.exit_code


def send(bootstrap: str, values: list[bytes | None], *, partition: int = 0) -> list[int]:
    """Sends records as they are, in order, to one partition; their offsets."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "message.max.bytes": 20_000_000,
            "enable.idempotence": True,
            "log_level": 0,
        }
    )
    offsets: list[int] = []
    failures: list[KafkaError] = []

    def delivered(error: KafkaError | None, message: object) -> None:
        if error is not None:
            failures.append(error)
        else:
            offsets.append(message.offset())  # type: ignore[attr-defined]  # a Message, whose stub is private

    for value in values:
        producer.produce(USAGE.name, value, b"key", partition, on_delivery=delivered)
        producer.poll(0)
    assert producer.flush(DEADLINE_S) == 0
    assert not failures, failures
    return sorted(offsets)


def charges(bootstrap: str, ids: set[str]) -> list[Charge]:
    """The charges with these ids, once each has come."""
    decode = msgspec.json.Decoder(Charge).decode

    def wanted(values: list[bytes]) -> list[Charge]:
        lines = [decode(line) for value in values for line in value.splitlines()]
        return [charge for charge in lines if charge.id in ids]

    def enough(values: list[bytes]) -> bool:
        return {charge.id for charge in wanted(values)} == ids

    return wanted(_read(bootstrap, CHARGES.name, enough))


def dead_letters(bootstrap: str, offsets: list[int]) -> list[DeadLetter]:
    """The dead letters of these offsets of partition 0, once each has come, in their order."""
    decode = msgspec.json.Decoder(DeadLetter).decode
    places = set(offsets)

    def wanted(values: list[bytes]) -> list[DeadLetter]:
        letters = [decode(value) for value in values]
        return [one for one in letters if one.partition == 0 and one.offset in places]

    def enough(values: list[bytes]) -> bool:
        return len(values) >= len(places) and {one.offset for one in wanted(values)} == places

    found = wanted(_read(bootstrap, DEADLETTER.name, enough))
    return sorted(found, key=lambda letter: letter.offset)


def _read(bootstrap: str, topic: str, enough: Callable[[list[bytes]], bool]) -> list[bytes]:
    """All values of a topic from its beginning, once there are enough; committed ones alone."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "tests",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "log_level": 0,
        }
    )
    partitions = consumer.list_topics(topic, timeout=DEADLINE_S).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    found: list[bytes] = []
    end_s = time.monotonic() + DEADLINE_S
    try:
        while not enough(found):
            assert time.monotonic() < end_s, f"only {len(found)} records of {topic} came"
            for message in consumer.consume(1000, 0.2):
                if message.error() is not None:
                    continue
                value = message.value()
                assert isinstance(value, bytes)
                found.append(value)
    finally:
        consumer.close()
    return found
