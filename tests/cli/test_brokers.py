"""Brokers start, serve, keep what they promise to keep, and end with us."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tollway.cli.children import Child
from tollway.cli.kafka.apache import ApacheKafka
from tollway.cli.kafka.broker import Broker, BrokerFailed, free_port, wait_until_serving
from tollway.cli.kafka.embedded import EmbeddedBroker

DEADLINE_S = 20.0


def produce_one(bootstrap: str, value: bytes) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    if "kept" not in admin.list_topics(timeout=DEADLINE_S).topics:
        admin.create_topics([NewTopic("kept", 1)])["kept"].result(DEADLINE_S)
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    producer.produce("kept", value=value, partition=0)
    assert producer.flush(DEADLINE_S) == 0


def values(bootstrap: str) -> list[bytes]:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "reader", "enable.partition.eof": True}
    )
    consumer.assign([TopicPartition("kept", 0, 0)])
    found: list[bytes] = []
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error() is not None:
            break
        found.append(message.value() or b"")
    consumer.close()
    return found


def test_a_started_broker_serves_what_was_produced(broker: Broker) -> None:
    produce_one(broker.bootstrap, b"toll")

    assert b"toll" in values(broker.bootstrap)


def test_a_killed_broker_comes_back_on_its_port(fresh_broker: Broker) -> None:
    produce_one(fresh_broker.bootstrap, b"before")
    first_pid = fresh_broker.pid

    fresh_broker.kill()
    pid_while_dead = fresh_broker.pid
    fresh_broker.start()

    assert pid_while_dead is None
    assert fresh_broker.pid not in {None, first_pid}
    if isinstance(fresh_broker, ApacheKafka):
        assert values(fresh_broker.bootstrap) == [b"before"]
    else:
        # The embedded broker keeps its data in memory alone; `tollway up` restores from the store.
        assert isinstance(fresh_broker, EmbeddedBroker)
        admin = AdminClient({"bootstrap.servers": fresh_broker.bootstrap})
        assert "kept" not in admin.list_topics(timeout=DEADLINE_S).topics


def test_a_broker_that_ends_early_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    child = Child(
        "a broker",
        [sys.executable, "-c", "print('no space left on device'); raise SystemExit(3)"],
        log=tmp_path / "broker.log",
    )
    child.start()

    with pytest.raises(BrokerFailed, match=r"(?s)exit code 3 .*no space left on device"):
        wait_until_serving(child, f"127.0.0.1:{free_port()}", DEADLINE_S)


def test_a_broker_that_never_serves_is_ended_at_the_deadline(tmp_path: Path) -> None:
    child = Child(
        "a broker",
        [sys.executable, "-c", "import signal; signal.pause()"],
        log=tmp_path / "broker.log",
    )
    child.start()

    with pytest.raises(BrokerFailed, match=r"did not serve .* within 0\.3 s"):
        wait_until_serving(child, f"127.0.0.1:{free_port()}", 0.3)

    assert child.pid is None


def test_a_free_port_is_below_those_of_outgoing_connections() -> None:
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

    port = free_port()

    assert 15_000 <= port < first_ephemeral
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of a parent's death")
def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child_pid = int(parent.stdout.readline())

    parent.kill()
    parent.wait(DEADLINE_S)
    parent.stdout.close()

    assert ended(child_pid)


_PARENT = """
import signal, sys
from pathlib import Path
from tollway.cli.children import Child
child = Child("sleeper", [sys.executable, "-c", "import signal; signal.pause()"],
              log=Path(sys.argv[1]) / "log")
child.start()
print(child.pid, flush=True)
signal.pause()
"""


def ended(pid: int) -> bool:
    """Whether a process is gone, or a zombie that only waits to be counted, before the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":
            return True
    return False


def test_stop_lets_a_child_finish_and_kills_one_that_does_not(tmp_path: Path) -> None:
    obedient = Child("obedient", [sys.executable, "-c", _OBEDIENT], log=tmp_path / "obedient")
    stubborn = Child("stubborn", [sys.executable, "-c", _STUBBORN], log=tmp_path / "stubborn")
    for child in (obedient, stubborn):
        child.start()
        deadline = time.monotonic() + DEADLINE_S
        while "up" not in child.tail() and time.monotonic() < deadline:
            pass

    assert obedient.stop(DEADLINE_S)
    assert not stubborn.stop(0.2)

    assert obedient.exit_code == 0
    assert stubborn.exit_code == -signal.SIGKILL


_OBEDIENT = """
import signal
signal.signal(signal.SIGTERM, lambda *_: exit(0))
print("up", flush=True)
signal.pause()
"""
_STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
while True:
    signal.pause()
"""
