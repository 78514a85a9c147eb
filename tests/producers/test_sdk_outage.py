"""The SDK while its broker is away: nothing is lost, or it is counted."""

import uuid

import pytest

from sdk_worker import DEADLINE_S, Worker, eventually, is_blocked
from tollway import meter
from tollway.cli.kafka.broker import Broker
from tollway.cli.kafka.topics import create_topics
from tollway.producers.process import install


@pytest.fixture
def workspace() -> str:
    return f"sdk-{uuid.uuid4().hex[:12]}"


def test_a_broker_that_comes_late_and_comes_back_loses_nothing(
    fresh_broker: Broker, workspace: str
) -> None:
    fresh_broker.kill()
    before = install(None)
    worker = Worker(fresh_broker.bootstrap, workspace)
    try:
        meter.init(brokers=fresh_broker.bootstrap, workspace=workspace, agent="bot", sigterm=False)
        meter.record(model="gpt-4o", user="before there was a broker")
        assert not is_blocked()

        fresh_broker.start()
        meter.record(model="gpt-4o", user="before there was a topic")
        create_topics(fresh_broker.bootstrap)
        assert meter.flush(DEADLINE_S) == 0
        assert len(worker.events(at_least=2)) == 2
        assert meter.ready(DEADLINE_S)
        worker.say(worker.decision("block", session="s-1"))
        assert eventually(lambda: is_blocked(session="s-1"))

        fresh_broker.kill()
        for _ in range(50):
            meter.record(model="gpt-4o", user="while the broker is away")
        assert is_blocked(session="s-1")
        fresh_broker.start()
        create_topics(fresh_broker.bootstrap)
        assert meter.flush(DEADLINE_S) == 0
        away = [e for e in worker.events(at_least=50) if e.user == "while the broker is away"]
        assert sorted({event.seq or 0 for event in away}) == list(range(2, 52))

        worker.say(worker.decision("block", session="s-2"))
        # The embedded broker's log is a new one: each heartbeat of a worker says so.
        worker.beat(generation=1)
        worker.beat(generation=1)
        assert eventually(lambda: is_blocked(session="s-2"))
        assert meter.stats().dropped == {}
    finally:
        running = install(before)
        if running is not None:
            running.close(2.0)


def test_a_message_that_times_out_is_counted(workspace: str) -> None:
    before = install(None)
    try:
        meter.init(
            brokers="127.0.0.1:9",
            workspace=workspace,
            agent="bot",
            sigterm=False,
            kafka={"message.timeout.ms": "300"},
        )
        meter.record(model="gpt-4o")

        assert eventually(lambda: meter.stats().dropped == {"timeout": 1})
    finally:
        running = install(before)
        if running is not None:
            running.close(0.1)
