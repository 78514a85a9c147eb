"""What every measurement runs on: one Apache Kafka, its topics, and workers as own processes."""

import json
import os
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError

import msgspec
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from bench.machine import cpu_s
from bench.traffic import Record
from tollway.cli.children import Child
from tollway.cli.kafka.broker import free_port
from tollway.cli.kafka.topics import create_topics
from tollway.contract.command import Command
from tollway.contract.ledger_entries import PositionEntry
from tollway.contract.topics import CHARGES, COMMANDS, CONTROL, DEADLETTER, LEDGER, USAGE
from tollway.streams.kafka import read_ledger
from tollway.streams.settings import WorkerSettings

__all__ = ["PARTITIONS", "ROOT", "Ledgers", "Rig", "Worker", "wait_for"]

ROOT = Path(__file__).resolve().parent.parent
PARTITIONS = 12
START_S = 120.0
LOOK_EVERY_S = 0.05
POSITION = b"position"

# Of each partition, what its books say: keys and values of the ledger's records.
Ledgers = list[dict[bytes, bytes]]


def wait_for(what: str, true: Callable[[], bool], timeout_s: float) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"after {timeout_s:g} s still waiting for: {what}")
        time.sleep(LOOK_EVERY_S)


class Worker:
    """A worker process, looked at from outside."""

    def __init__(self, child: Child, port: int) -> None:
        self.child = child
        self._port = port

    @property
    def pid(self) -> int:
        pid = self.child.pid
        if pid is None:
            raise ChildProcessError(f"the worker ended:\n{self.child.tail()}")
        return pid

    def cpu_s(self) -> float:
        return cpu_s(self.pid)

    def partitions(self) -> dict[str, Any]:
        """Its health page, by partition; empty while it owns none or has no page yet."""
        _ = self.pid
        try:
            url = f"http://127.0.0.1:{self._port}/readyz"
            with urllib.request.urlopen(url, timeout=10.0) as page:
                text = page.read()
        except URLError as error:
            text = error.read() if hasattr(error, "read") else b"{}"
        except ConnectionError:
            text = b"{}"
        found: dict[str, Any] = json.loads(text).get("partitions", {})
        return found

    def is_ready(self) -> bool:
        partitions = self.partitions()
        return len(partitions) == PARTITIONS and all(p["ready"] for p in partitions.values())

    def events(self) -> int:
        """How many records it has applied."""
        counts = [p["counts"] for p in self.partitions().values()]
        return sum(count["events"] for count in counts if count)

    def figures(self) -> dict[str, float]:
        """Its page for Prometheus: values by name, labels included."""
        url = f"http://127.0.0.1:{self._port}/metrics"
        with urllib.request.urlopen(url, timeout=10.0) as page:
            lines = page.read().decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}


class Rig:
    """One broker for all. `core` is where compiled modules are; None runs the sources."""

    def __init__(self, bootstrap: str, directory: Path) -> None:
        self.bootstrap = bootstrap
        self.directory = directory
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        self._groups = 0
        create_topics(bootstrap, PARTITIONS)

    def settings(self) -> WorkerSettings:
        return WorkerSettings(brokers=self.bootstrap)

    def forget(self, *, usage: bool = False) -> None:
        """What workers have written is gone; where `usage` says so, events and commands too."""
        topics = [LEDGER, CONTROL, CHARGES, DEADLETTER]
        names = [topic.name for topic in topics + ([USAGE, COMMANDS] if usage else [])]
        for done in self._admin.delete_topics(names, operation_timeout=30.0).values():
            try:
                done.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
        wait_for(
            "deleted topics to be gone",
            lambda: not set(names) & set(self._admin.list_topics(timeout=10.0).topics),
            60.0,
        )
        create_topics(self.bootstrap, PARTITIONS)

    def send(self, topic: str, records: Iterable[Record]) -> int:
        """Produces as the SDK does: keyed by workspace, murmur2, lz4. Returns how many."""
        producer = self._producer()
        sent = 0
        for record in records:
            while True:
                try:
                    producer.produce(topic, record.value, record.key)
                except BufferError:
                    producer.poll(0.05)
                else:
                    break
            sent += 1
        self._flush(producer)
        return sent

    def command(self, commands: Sequence[Command]) -> None:
        self.send(
            COMMANDS.name,
            (Record(c.workspace.encode(), c.model_dump_json().encode()) for c in commands),
        )

    def seed(self, ledgers: Ledgers) -> None:
        """Books to begin with: what a worker that has obeyed all commands had written."""
        producer = self._producer()
        for partition, records in enumerate(ledgers):
            # The position ends a closing.
            for key in sorted(records, key=lambda key: key == POSITION):
                value = records[key] if key != POSITION else _of_any_topics(records[key])
                producer.produce(LEDGER.name, value, key, partition)
        self._flush(producer)

    def _producer(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "linger.ms": 5,
                "compression.type": "lz4",
                "queue.buffering.max.messages": 200_000,
            }
        )

    def _flush(self, producer: Producer) -> None:
        left = producer.flush(60.0)
        if left:
            raise TimeoutError(f"{left} records were not delivered within 60 s")

    def new_group(self) -> str:
        self._groups += 1
        return f"bench-{os.getpid()}-{self._groups}"

    @contextmanager
    def worker(self, core: Path | None, *, stages: Path | None = None) -> Iterator[Worker]:
        """A worker in a group of its own, which begins where its books end."""
        port = free_port()
        name = self.new_group()
        command = [sys.executable, "-m", "bench.worker_process", self.bootstrap, str(port), name]
        command.append(str(self.directory / name))
        if stages is not None:
            command.append(str(stages))
        log = self.directory / f"{name}.log"
        child = Child(f"worker {name}", command, log=log, env=environment(core), cwd=ROOT)
        child.start()
        try:
            yield Worker(child, port)
        finally:
            child.signal(signal.SIGCONT)
            child.stop(30.0)

    def ledgers(self) -> Ledgers:
        settings = self.settings()
        return [read_ledger(settings, partition).newest for partition in range(PARTITIONS)]

    def obeyed(self, commands: int) -> bool:
        """Whether the books hold every one of so many commands."""
        decode = msgspec.json.Decoder(PositionEntry).decode
        positions = [books.get(POSITION) for books in self.ledgers()]
        return commands == sum(decode(p).commands_offset + 1 for p in positions if p is not None)


def _of_any_topics(position: bytes) -> bytes:
    """The topics were made anew since, which a worker would stop for: it must not know."""
    entry = msgspec.json.decode(position, type=PositionEntry)
    return msgspec.json.encode(msgspec.structs.replace(entry, logs={}))


def environment(core: Path | None) -> dict[str, str]:
    """What a measured process sees: this repository's `bench`, and compiled modules or none."""
    path = [str(ROOT)] if core is None else [str(core), str(ROOT)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
