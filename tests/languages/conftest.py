"""One Apache Kafka with the contract's topics, and what the SDK itself sends to it."""

from collections.abc import Iterator

import pytest

from brokers import kafka_home, running_broker
from tollway import meter
from tollway.cli.kafka.apache import why_no_kafka
from tollway.cli.kafka.broker import Broker
from tollway.cli.kafka.topics import create_topics
from tollway.producers.process import install

DEADLINE_S = 30.0


@pytest.fixture(scope="session")
def workspaces() -> list[str]:
    """Of every length up to twelve bytes and more: murmur2 ends differently by the rest of 4."""
    odd = ["a", "ab", "abc", "Ünïcode GmbH", "日本", "team 7", "a|b&c=d", "x/y%7C"]
    return odd + [f"team-{number}" for number in range(300 - len(odd))]


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    if missing := why_no_kafka(kafka_home()):
        pytest.skip(missing)
    with running_broker("apache", tmp_path_factory.mktemp("languages")) as running:
        create_topics(running.bootstrap)
        yield running


@pytest.fixture(scope="session")
def sent_by_the_sdk(kafka: Broker, workspaces: list[str]) -> None:
    """One event of each workspace, `source` says whose."""
    before = install(None)
    try:
        meter.init(brokers=kafka.bootstrap, agent="bot", sigterm=False, kafka={})
        for workspace in workspaces:
            meter.record(workspace=workspace, source="sdk", model="gpt-4o", input_tokens=1)
        assert meter.flush(DEADLINE_S) == 0
    finally:
        running = install(before)
        if running is not None:
            running.close(2.0)
