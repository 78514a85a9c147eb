"""Which brokers the tests run on, and starting one in a directory of its own."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tollway.cli.kafka.apache import ApacheKafka, why_no_kafka
from tollway.cli.kafka.broker import Broker
from tollway.cli.kafka.embedded import EmbeddedBroker

__all__ = ["Choice", "choose_brokers", "kafka_home", "new_broker", "running_broker"]

_KINDS = ("apache", "embedded")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """`left_out` says, for pytest's summary, which broker the tests do without and why."""

    kinds: tuple[str, ...]
    left_out: str | None


def kafka_home() -> Path:
    """`TOLLWAY_KAFKA_HOME`, else `.kafka` in the root of the repository."""
    return Path(os.environ.get("TOLLWAY_KAFKA_HOME") or Path(__file__).parents[2] / ".kafka")


def choose_brokers() -> Choice:
    """By `TOLLWAY_TEST_BROKER`: apache, embedded or both; unset is both where Java is."""
    wanted = os.environ.get("TOLLWAY_TEST_BROKER", "")
    if wanted in _KINDS:
        return Choice(kinds=(wanted,), left_out=f"TOLLWAY_TEST_BROKER={wanted} leaves out others")
    if wanted not in {"", "both"}:
        raise ValueError(f"TOLLWAY_TEST_BROKER={wanted!r}; it is apache, embedded or both")
    missing = why_no_kafka(kafka_home())
    if missing is None or wanted == "both":
        return Choice(kinds=_KINDS, left_out=None)
    return Choice(kinds=("embedded",), left_out=f"NOTHING RAN ON APACHE KAFKA: {missing}")


def new_broker(kind: str, directory: Path) -> Broker:
    """Not started yet; for tests that kill it or keep its directory."""
    if kind == "apache":
        return ApacheKafka(directory, home=kafka_home())
    return EmbeddedBroker(directory)


@contextmanager
def running_broker(kind: str, directory: Path) -> Iterator[Broker]:
    """A broker that serves, and goes with its directory at the end."""
    broker = new_broker(kind, directory)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
        # Kafka's sparse index files add up to gigabytes in a directory that pytest would keep.
        shutil.rmtree(directory, ignore_errors=True)
