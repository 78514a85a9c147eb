"""The sinks on a real broker, with the store behind ClickHouse's HTTP interface."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from threading import Event

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from prometheus_client import CollectorRegistry

from clickhouse_http import ClickHouseHttp, serving_clickhouse
from tollway.cli.kafka.broker import Broker
from tollway.contract.topics import partition_of
from tollway.sinks.clickhouse import Client, connect
from tollway.sinks.health import Health
from tollway.sinks.metrics import SinkMetrics
from tollway.sinks.migrate import migrate
from tollway.sinks.run import SinkSettings, run_sinks

DEADLINE_S = 60.0
SESSION_MS = 6_000
PARTITIONS = 12
MOMENT = "2026-03-10T12:00:00.000Z"
PROCESS = """
import sys
from threading import Event
from prometheus_client import CollectorRegistry
from tollway.sinks.clickhouse import connect
from tollway.sinks.health import Health
from tollway.sinks.metrics import SinkMetrics
from tollway.sinks.run import SinkSettings, run_sinks
brokers, group, dsn = sys.argv[1:]
run_sinks(
    SinkSettings(brokers=brokers, group=group, session_timeout_ms=6000),
    connect(dsn), Event(), health=Health(), metrics=SinkMetrics(CollectorRegistry()),
)
"""


@pytest.fixture
def workspace() -> str:
    return f"acme-{uuid.uuid4()}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseHttp]:
    path = tmp_path_factory.mktemp("chdb")
    holder = connect(f"chdb://{path}")
    migrate(holder)
    with serving_clickhouse(path) as server:
        yield server
    holder.close()


@pytest.fixture
def client(served: ClickHouseHttp) -> Client:
    return connect(served.dsn)


@pytest.fixture
def group() -> str:
    return f"sinks-{uuid.uuid4()}"


def charge(workspace: str, number: int, cost: str = "0.000000000001") -> bytes:
    row = {"workspace": workspace, "time": MOMENT, "id": f"e{number}", "agent": "bot"}
    return json.dumps(
        {**row, "cost": cost, "partition": 0, "offset": number, "log_time": MOMENT}
    ).encode()


class Worker:
    """Writes charges as the worker does: in transactions, to the workspace's partition."""

    def __init__(self, broker: Broker, workspace: str) -> None:
        self.workspace = workspace
        self.place = ("tollway.charges", partition_of(workspace, PARTITIONS))
        self._producer = Producer(
            {"bootstrap.servers": broker.bootstrap, "transactional.id": f"test-{workspace}"}
        )
        self._producer.init_transactions(DEADLINE_S)

    def charge(self, *values: bytes, topic: str = "tollway.charges", key: str = "") -> None:
        self._producer.begin_transaction()
        for value in values:
            self._producer.produce(topic, value, key or self.workspace, partition=self.place[1])
        self._producer.commit_transaction(DEADLINE_S)

    def abort(self, *values: bytes) -> None:
        self._producer.begin_transaction()
        for value in values:
            self._producer.produce(self.place[0], value, self.workspace, partition=self.place[1])
        self._producer.flush(DEADLINE_S)
        self._producer.abort_transaction(DEADLINE_S)


@contextmanager
def sinks(broker: Broker, group: str, client: Client, drain_s: float = 0.0) -> Iterator[Health]:
    stop, health = Event(), Health()
    settings = SinkSettings(
        brokers=broker.bootstrap, group=group, session_timeout_ms=SESSION_MS, drain_s=drain_s
    )
    metrics = SinkMetrics(CollectorRegistry())
    thread = threading.Thread(
        target=run_sinks,
        args=(settings, client, stop),
        kwargs={"health": health, "metrics": metrics},
    )
    thread.start()
    try:
        yield health
    finally:
        stop.set()
        thread.join(DEADLINE_S)
        assert not thread.is_alive()


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    waiting = Event()
    while not condition():
        assert time.monotonic() < deadline_s, "never came true"
        waiting.wait(0.05)


def stored(client: Client, workspace: str) -> tuple[int, Decimal]:
    query = "SELECT count(), sum(cost) FROM charges FINAL WHERE workspace = {workspace:String}"
    rows = client.query(query, parameters={"workspace": workspace}).result_rows
    return int(rows[0][0]), Decimal(rows[0][1])


def committed(broker: Broker, group: str, place: tuple[str, int]) -> int:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group})
    try:
        return int(consumer.committed([TopicPartition(*place)], timeout=DEADLINE_S)[0].offset)
    finally:
        consumer.close()


def end_of(broker: Broker, place: tuple[str, int]) -> int:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "nobody"})
    try:
        marks = consumer.get_watermark_offsets(TopicPartition(*place), timeout=DEADLINE_S)
        assert marks is not None
        return int(marks[1])
    finally:
        consumer.close()


def test_what_is_committed_is_stored_and_the_group_is_at_the_very_end(
    topics: Broker, workspace: str, client: Client, group: str
) -> None:
    worker = Worker(topics, workspace)
    worker.charge(charge(workspace, 1) + b"\n" + charge(workspace, 2), charge(workspace, 3))
    if topics.kind == "apache":
        # The embedded broker shows aborted records; it does not keep that promise.
        worker.abort(charge(workspace, 4))

    with sinks(topics, group, client) as health:
        until(lambda: stored(client, workspace)[0] == 3)
        until(lambda: health.report().ready)
        # Past the marks of transactions: what looks at the group sees no lag.
        until(lambda: committed(topics, group, worker.place) >= end_of(topics, worker.place))

    assert stored(client, workspace) == (3, Decimal("0.000000000003"))


def test_a_bad_row_is_a_dead_letter_that_comes_back_as_a_row(
    topics: Broker, workspace: str, client: Client, group: str
) -> None:
    worker = Worker(topics, workspace)
    bad = b'{"workspace":"%s","cost":"dear"}' % workspace.encode()
    worker.charge(charge(workspace, 1) + b"\n" + bad + b"\n" + charge(workspace, 2))
    query = (
        "SELECT reason, base64Decode(assumeNotNull(value)) FROM deadletters FINAL"
        " WHERE base64Decode(assumeNotNull(key)) = {workspace:String}"
    )

    with sinks(topics, group, client):
        until(lambda: stored(client, workspace)[0] == 2)
        until(
            lambda: (
                client.query(query, parameters={"workspace": workspace}).result_rows
                == [("refused_by_store", bad.decode())]
            )
        )


@pytest.mark.slow
def test_while_clickhouse_is_away_the_member_stays_and_afterwards_nothing_is_missing(
    topics: Broker, workspace: str, served: ClickHouseHttp, client: Client, group: str
) -> None:
    worker = Worker(topics, workspace)
    worker.charge(charge(workspace, 0))
    with sinks(topics, group, client) as health:
        until(lambda: stored(client, workspace)[0] == 1)
        served.stop()
        try:
            for number in range(1, 41):
                worker.charge(charge(workspace, number))
            until(lambda: not health.report().ready)
            # Longer than the session: a member that did not poll would be evicted.
            away_since_s = time.monotonic()
            until(lambda: time.monotonic() - away_since_s > 1.5 * SESSION_MS / 1000)
            assert committed(topics, group, worker.place) < end_of(topics, worker.place) - 40
        finally:
            served.start()
        until(lambda: stored(client, workspace)[0] == 41)

    assert stored(client, workspace) == (41, Decimal("0.000000000041"))


def test_told_to_stop_it_reads_on_to_the_ends_if_the_broker_would_forget_them(
    topics: Broker, workspace: str, client: Client, group: str
) -> None:
    worker = Worker(topics, workspace)
    with sinks(topics, group, client, drain_s=DEADLINE_S) as health:
        until(lambda: health.report().ready)
        for number in range(50):
            worker.charge(charge(workspace, number))

    assert stored(client, workspace) == (50, Decimal("0.000000000050"))


@pytest.mark.slow
def test_kill_minus_9_at_any_point_loses_nothing_and_counts_nothing_twice(
    topics: Broker,
    workspace: str,
    served: ClickHouseHttp,
    client: Client,
    group: str,
    tmp_path: Path,
) -> None:
    worker = Worker(topics, workspace)
    command = [sys.executable, "-c", PROCESS, topics.bootstrap, group, served.dsn]
    sent = 0
    for _ in range(3):
        process = subprocess.Popen(command, cwd=tmp_path)
        try:
            before = stored(client, workspace)[0]
            while stored(client, workspace)[0] <= before:
                assert process.poll() is None
                worker.charge(*(charge(workspace, number) for number in range(sent, sent + 20)))
                sent += 20
                Event().wait(0.02)
        finally:
            # Right after an insert has landed: its offsets are not committed, or just being.
            os.kill(process.pid, signal.SIGKILL)
            process.wait(DEADLINE_S)

    with sinks(topics, group, client):
        until(lambda: stored(client, workspace)[0] == sent)

    assert stored(client, workspace) == (sent, Decimal(sent).scaleb(-12))
