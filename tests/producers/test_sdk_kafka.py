"""The SDK against a real broker: events arrive, decisions take effect, both survive outages."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from tollway import meter
from tollway.cli.kafka.broker import Broker
from tollway.cli.kafka.topics import create_topics
from tollway.contract.control import ControlRecord, Decision, Heartbeat, control_key
from tollway.contract.topics import CONTROL, DEFAULT_PARTITIONS, USAGE, partition_of
from tollway.contract.usage import UsageEvent
from tollway.producers.process import install

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
        self._producer: Any = None  # Any: confluent-kafka's stubs want no optional here

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

    def say(self, *records: ControlRecord) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap, "log_level": 0})
        for record in records:
            producer.produce(
                CONTROL.name,
                msgspec.json.encode(record),
                control_key(record).encode(),
                self.partition,
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


@pytest.fixture
def workspace() -> str:
    return f"sdk-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def worker(topics: Broker, workspace: str) -> Iterator[Worker]:
    """The shared broker, and this process metering on it."""
    before = install(None)
    try:
        meter.init(
            brokers=topics.bootstrap, workspace=workspace, agent="bot", sigterm=False, kafka={}
        )
        yield Worker(topics.bootstrap, workspace)
    finally:
        running = install(before)
        if running is not None:
            running.close(2.0)


def is_blocked(**dimensions: str) -> bool:
    named: dict[str, Any] = dict(dimensions)  # Any: check() wants the names spelt out
    try:
        meter.check(**named)
    except meter.CallBlocked:
        return True
    return False


def test_events_arrive_in_order_in_the_workspaces_partition(worker: Worker) -> None:
    for number in range(500):
        meter.record(model="gpt-4o", input_tokens=number)
    assert meter.flush(DEADLINE_S) == 0

    events = worker.events(at_least=500)
    assert [event.seq for event in events] == list(range(500))
    assert [event.input_tokens for event in events] == list(range(500))
    assert {event.producer for event in events} == {meter.stats().producer}


def test_an_invalid_event_becomes_a_loss_event(worker: Worker) -> None:
    meter.record(model="gpt-4o")
    meter.record(model="gpt-4o", input_tokens=-1)
    assert meter.flush(DEADLINE_S) == 0

    first, loss = sorted(worker.events(at_least=2), key=lambda event: event.kind, reverse=True)[:2]
    if first.kind == "loss":
        first, loss = loss, first
    assert (first.seq, loss.seq) == (0, None)
    assert (loss.kind, loss.lost, loss.agent) == ("loss", {"invalid": 1}, "bot")


def test_a_block_reaches_the_agent_and_is_lifted(worker: Worker) -> None:
    assert meter.ready(DEADLINE_S)
    assert not is_blocked()
    heard: list[str] = []
    end = meter.on_decision(lambda decision: heard.append(decision.action), agent="bot")

    worker.say(worker.decision("block", agent="bot"))
    assert eventually(is_blocked)
    worker.say(worker.decision("allow", agent="bot"))
    assert eventually(lambda: not is_blocked())
    end()

    assert heard == ["block", "allow"]


def test_heartbeats_keep_the_guard_fresh(worker: Worker) -> None:
    assert meter.ready(DEADLINE_S)
    assert meter.stats().guard == "stale"

    worker.beat()

    assert eventually(lambda: meter.stats().guard == "fresh")


def test_an_agent_that_starts_later_knows_ten_thousand_standing_blocks(
    worker: Worker, topics: Broker
) -> None:
    worker.say(*(worker.decision("block", session=f"s-{n}") for n in range(10_000)))

    began_s = time.monotonic()
    meter.init(brokers=topics.bootstrap, workspace=worker.workspace, agent="bot", wait_s=10)

    assert is_blocked(session="s-9999")
    assert is_blocked(session="s-0")
    assert not is_blocked(session="s-10000")
    assert meter.stats().decisions == 10_000
    assert time.monotonic() - began_s < 10


AGENT = """
    import os, signal, sys, threading
    from tollway import meter
    {body}
"""


def run_agent(body: str, worker: Worker, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    program = textwrap.dedent(AGENT).format(body=textwrap.dedent(body))
    environment = {name: text for name, text in os.environ.items() if "TOLLWAY" not in name}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={
            **environment,
            "TOLLWAY_BROKERS": worker.bootstrap,
            "TOLLWAY_WORKSPACE": worker.workspace,
            "TOLLWAY_AGENT": "bot",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_end_of_the_interpreter_loses_nothing(worker: Worker, tmp_path: Path) -> None:
    body = "for n in range(1000): meter.record(model='gpt-4o')"

    done = run_agent(body, worker, tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert len(worker.events(at_least=1000)) == 1000


def test_sigterm_loses_nothing(worker: Worker, tmp_path: Path) -> None:
    body = """
for n in range(1000): meter.record(model='gpt-4o')
os.kill(os.getpid(), signal.SIGTERM)
"""

    done = run_agent(body, worker, tmp_path)

    assert (done.returncode, done.stderr) == (-signal.SIGTERM, "")
    assert len(worker.events(at_least=1000)) == 1000


def test_forked_children_emit_as_producers_of_their_own(worker: Worker, tmp_path: Path) -> None:
    body = """
import multiprocessing
def work():
    for n in range(10): meter.record(model='gpt-4o', user='pool')
meter.record(model='gpt-4o', user='parent')
child = os.fork()
if child == 0:
    for n in range(10): meter.record(model='gpt-4o', user='fork')
    sys.exit(0)
os.waitpid(child, 0)
process = multiprocessing.get_context("fork").Process(target=work)
process.start()
process.join()
meter.record(model='gpt-4o', user='parent')
print(process.exitcode)
"""

    done = run_agent(body, worker, tmp_path)

    assert (done.stdout, done.returncode, done.stderr) == ("0\n", 0, "")
    events = worker.events(at_least=22)
    numbers: dict[tuple[str, str], list[int]] = {}
    for event in events:
        numbers.setdefault((event.user or "", event.producer or ""), []).append(event.seq or 0)
    assert sorted((user, seqs) for (user, _), seqs in numbers.items()) == [
        ("fork", list(range(10))),
        ("parent", [0, 1]),
        ("pool", list(range(10))),
    ]
    assert len({producer for _, producer in numbers}) == 3


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
        # The embedded broker's log is a new one, in which the guard's position means nothing:
        # a worker says so with each heartbeat.
        worker.beat(generation=1)
        worker.beat(generation=1)
        assert eventually(lambda: is_blocked(session="s-2"))
        assert meter.stats().dropped == {}
    finally:
        running = install(before)
        if running is not None:
            running.close(2.0)


def test_a_message_that_times_out_is_counted_and_told(topics: Broker, workspace: str) -> None:
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
