"""`topics create`, `tail` and `doctor` on a real broker."""

import json
import subprocess
import sys
from pathlib import Path
from threading import Thread, Timer

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner, Result

from tollway.cli.commands.following import Followed, follow, line_of
from tollway.cli.kafka.broker import Broker, free_port
from tollway.cli.main import app
from tollway.contract.topics import CONTROL, USAGE

ALL = frozenset({"decisions", "findings", "usage"})
EVENT = {
    "id": "e1",
    "time": "2026-03-10T12:00:00.000Z",
    "workspace": "tailed",
    "agent": "bot",
    "session": "run-1",
    "model": "gpt-4o",
    "input_tokens": 1200,
    "output_tokens": 30,
    "task": "canary text of a prompt",
    "tags": {"note": "canary text of a prompt"},
}


def tollway(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"NO_COLOR": "1"})


def usage(value: bytes) -> Followed:
    return Followed(topic=USAGE.name, partition=3, offset=9, value=value)


def test_topics_are_created_once(fresh_broker: Broker) -> None:
    first = tollway("topics", "create", "--brokers", fresh_broker.bootstrap, "--partitions", "2")
    again = tollway("topics", "create", "--brokers", fresh_broker.bootstrap, "--partitions", "2")
    other = tollway("topics", "create", "--brokers", fresh_broker.bootstrap, "--partitions", "3")

    assert first.exit_code == 0
    assert "created tollway.usage\n" in first.stdout
    assert "exists  tollway.usage\n" in again.stdout
    assert other.exit_code == 1
    assert "a workspace would have two writers" in other.stderr


def test_tail_shows_names_and_numbers_and_never_free_text() -> None:
    line = line_of(usage(json.dumps(EVENT).encode()), ALL, None)

    assert line == ("2026-03-10T12:00:00.000Z  llm     tailed: bot run-1  gpt-4o  in 1,200 out 30")


def test_tail_shows_a_cloudevent_as_the_event_that_it_means() -> None:
    record = Followed(
        topic=USAGE.name,
        partition=3,
        offset=9,
        value=b'{"model":"gpt-4o","input_tokens":1200,"output_tokens":30}',
        headers={
            "ce_specversion": "1.0",
            "ce_type": "usage",
            "ce_source": "/app",
            "ce_id": "1",
            "ce_time": "2026-03-10T12:00:00Z",
            "ce_subject": "bot",
            "ce_partitionkey": "tailed",
        },
    )

    line = line_of(record, ALL, "tailed")

    assert line == "2026-03-10T12:00:00Z  llm     tailed: bot  gpt-4o  in 1,200 out 30"


def test_tail_keeps_to_a_workspace_and_to_what_is_asked() -> None:
    record = usage(json.dumps(EVENT).encode())

    assert line_of(record, ALL, "another") is None
    assert line_of(record, frozenset({"decisions"}), None) is None
    assert line_of(record, ALL, "tailed") is not None


def test_tail_says_where_an_unreadable_record_is_and_not_what_it_holds() -> None:
    assert line_of(usage(b"canary"), ALL, None) == "unreadable  tollway.usage/3 @ 9"
    assert line_of(usage(b'{"agent": 5}'), ALL, None) == "unreadable  tollway.usage/3 @ 9"


def test_tail_follows_a_topic(topics: Broker, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tollway.cli.main", "tail", "--count", "1", "-w", "tailed"]
    tail = subprocess.Popen(
        [*command, "--brokers", topics.bootstrap], stdout=subprocess.PIPE, text=True
    )
    producer = Producer({"bootstrap.servers": topics.bootstrap})

    def send_until_seen() -> None:
        # It follows from its own start on, which nobody else knows.
        while tail.poll() is None:
            producer.produce(USAGE.name, key=b"tailed", value=json.dumps(EVENT).encode())
            producer.flush(1)

    sender = Thread(target=send_until_seen)
    sender.start()
    try:
        output, _ = tail.communicate(timeout=60)
    finally:
        tail.kill()
        sender.join()

    assert output.startswith("2026-03-10T12:00:00.000Z  llm")


def test_what_was_there_before_is_not_followed(topics: Broker) -> None:
    producer = Producer({"bootstrap.servers": topics.bootstrap, "linger.ms": 500})

    def send(number: int, name: str) -> None:
        for _ in range(number):
            event = json.dumps({**EVENT, "workspace": "batched", "agent": name})
            producer.produce(USAGE.name, key=b"batched", value=event.encode())
        producer.flush(10)

    # One batch: the embedded broker tells its first record as the end.
    send(20, "before")
    # Late enough for the reader to have found that end.
    later = Timer(2.0, send, (1, "after"))
    later.start()
    records = follow(topics.bootstrap, [USAGE.name])
    try:
        first = next(record for record in records if b'"batched"' in (record.value or b""))
    finally:
        later.join()
        records.close()

    assert b'"after"' in (first.value or b"")


def test_doctor_without_an_api_checks_what_it_can(
    topics: Broker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOLLWAY_API", raising=False)

    result = tollway("doctor", "--brokers", topics.bootstrap, "--no-clock")

    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert f"ok    broker     {topics.bootstrap}" in lines
    assert any(line.startswith("fail  api        none is known: set TOLLWAY_API") for line in lines)


def test_doctor_names_what_is_missing_and_the_way_out(
    topics: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOLLWAY_BROKERS", topics.bootstrap)
    monkeypatch.setenv("TOLLWAY_API", f"http://127.0.0.1:{free_port()}")

    result = tollway("doctor", "--json")

    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert result.exit_code == 1
    assert {name: check["verdict"] for name, check in checks.items()} == {
        "broker": "ok",
        "topics": "ok",
        "worker": "fail",
        "clock": "ok",
        "api": "fail",
        "prices": "ok",
    }
    assert "start `tollway worker`" in checks["worker"]["detail"]
    assert "TOLLWAY_API" in checks["api"]["detail"]


def test_doctor_hears_the_worker_by_its_heartbeats(
    topics: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tollway.cli.commands.probes import heartbeats

    producer = Producer({"bootstrap.servers": topics.bootstrap})
    heard: list[set[int]] = []
    listener = Thread(target=lambda: heard.append(heartbeats(topics.bootstrap)))
    listener.start()
    beat = {"type": "heartbeat", "partition": 4, "generation": 1, "usage_offset": 1}
    value = json.dumps({**beat, "commands_offset": 1, "issued_at": "2026-03-10T12:00:00.000Z"})
    while listener.is_alive():
        producer.produce(CONTROL.name, key=b"heartbeat|4", value=value.encode(), partition=4)
        producer.flush(1)
    listener.join()

    assert heard == [{4}]


def test_a_broker_that_is_away_is_a_failed_check(monkeypatch: pytest.MonkeyPatch) -> None:
    result = tollway(
        *["doctor", "--brokers", f"127.0.0.1:{free_port()}"],
        *["--api", f"http://127.0.0.1:{free_port()}"],
    )

    assert result.exit_code == 1
    assert result.stdout.startswith("fail  broker")
