"""Where the guard begins to read: near the end while a worker lives, else at the beginning."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sdk_worker import DEADLINE_S, Worker, is_blocked
from tollway import meter
from tollway.cli.kafka.broker import Broker
from tollway.cli.kafka.topics import create_topics
from tollway.producers.process import install


@pytest.fixture
def worker(fresh_broker: Broker, tmp_path: Path) -> Iterator[Worker]:
    create_topics(fresh_broker.bootstrap)
    before = install(None)
    try:
        yield Worker(fresh_broker.bootstrap, f"tail-{tmp_path.name}")
    finally:
        running = install(before)
        if running is not None:
            running.close(2.0)


def test_without_a_living_worker_what_stood_long_ago_still_blocks(worker: Worker) -> None:
    worker.say(worker.decision("block", session="old"), minutes_ago=60)

    meter.init(brokers=worker.bootstrap, workspace=worker.workspace, agent="bot", sigterm=False)

    assert meter.ready(DEADLINE_S)
    assert is_blocked(session="old")


def test_beside_a_living_worker_only_what_it_published_lately_is_read(worker: Worker) -> None:
    worker.say(worker.decision("block", session="republished"), minutes_ago=60)
    worker.say(worker.decision("block", session="no longer published"), minutes_ago=59)
    worker.beat()
    worker.say(worker.decision("block", session="republished"))

    meter.init(brokers=worker.bootstrap, workspace=worker.workspace, agent="bot", sigterm=False)

    assert meter.ready(DEADLINE_S)
    assert is_blocked(session="republished")
    # The embedded broker does not look offsets up by time; there all of it is read.
    if meter.stats().decisions == 2:
        pytest.skip("this broker does not look offsets up by time: everything was read")
    assert not is_blocked(session="no longer published")
