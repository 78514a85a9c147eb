"""`tollway up` brings everything up in order, repairs what dies, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from confluent_kafka.admin import AdminClient

import fake_up
from tollway.cli.kafka.broker import Broker

DEADLINE_S = 40.0
# Never set: what `until` waits on between two looks.
PAUSE = threading.Event()
Found = TypeVar("Found")
Json = Any  # what json.loads gives


class Up:
    """A `tollway up` in a process of its own."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory = directory
        self.output = directory.with_suffix(".out")
        with self.output.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, fake_up.__file__, str(directory), *options],
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self) -> Json:
        """What run.json says; None while there is none."""
        try:
            return json.loads((self.directory / "run.json").read_text())
        except FileNotFoundError:
            return None

    def until_ready(self) -> Json:
        return until(self.run, f"run.json: {self.said()}")

    def diary(self) -> list[tuple[str, str]]:
        lines = (self.directory / "diary").read_text().splitlines()
        return [(name, what) for name, what, _ in map(json.loads, lines)]

    def said(self) -> str:
        return self.output.read_text()

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)


@contextmanager
def up(directory: Path, *options: str) -> Iterator[Up]:
    running = Up(directory, *options)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        running.process.wait(DEADLINE_S)


def until(found: Callable[[], Found | None], what: str) -> Found:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        PAUSE.wait(0.05)
    raise AssertionError(f"{what} did not come within {DEADLINE_S:g} s")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def every_pid(run: Json) -> list[int]:
    pids = run["pids"]
    return [pids["broker"], pids["sink"], *pids["worker"]]


def test_run_json_appears_when_all_is_ready_and_names_what_runs(tmp_path: Path) -> None:
    with up(tmp_path / "up", "--workers", "2") as running:
        run = running.until_ready()

        assert sorted(run) == ["api", "broker", "key", "pids"]
        assert run["key"] is None
        assert run["api"].startswith("http://127.0.0.1:")
        assert len(run["pids"]["worker"]) == 2
        assert all(alive(pid) for pid in every_pid(run))
        topics = AdminClient({"bootstrap.servers": run["broker"]}).list_topics(timeout=DEADLINE_S)
        assert len(topics.topics["tollway.usage"].partitions) == 12
        said = until(lambda: "TOLLWAY_BROKERS" in running.said() and running.said(), "the advice")
        assert f"export TOLLWAY_BROKERS={run['broker']} TOLLWAY_API={run['api']}" in str(said)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_to_stop_ends_workers_before_the_store_and_leaves_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    with up(tmp_path / "up") as running:
        run = running.until_ready()

        code = running.end(number)

        assert code == 0
        assert running.diary() == [
            ("store", "started"),
            ("worker", "started"),
            ("worker", "stopped"),
            ("store", "stopped"),
        ] or running.diary() == [
            ("worker", "started"),
            ("store", "started"),
            ("worker", "stopped"),
            ("store", "stopped"),
        ]
        assert not any(alive(pid) for pid in every_pid(run))
        assert running.run() is None


def test_a_worker_that_is_killed_is_told_of_and_replaced(tmp_path: Path) -> None:
    with up(tmp_path / "up") as running:
        before = running.until_ready()
        (killed,) = before["pids"]["worker"]

        os.kill(killed, signal.SIGKILL)

        def replaced() -> Json:
            now = running.run()
            return now if now and now["pids"]["worker"] not in ([killed], []) else None

        after = until(replaced, "another worker")
        assert alive(after["pids"]["worker"][0])
        assert after["pids"]["sink"] == before["pids"]["sink"]
        assert after["pids"]["broker"] == before["pids"]["broker"]
        assert running.said().count("worker 0 died with signal 9") == 1
        until(lambda: running.said().count("all is up again") == 1, "that all is up again")


def test_a_child_that_dies_at_once_every_time_ends_up_with_its_log(tmp_path: Path) -> None:
    with up(tmp_path / "up", "--broken", "worker") as running:
        code = running.process.wait(DEADLINE_S)

        assert code == 1
        assert "worker 0 died 5 times within 60 s, last with exit code 1" in running.said()
        assert "no such setting" in running.said()
        assert running.diary()[-1] == ("store", "stopped")


def test_a_child_that_asks_for_a_person_is_not_started_again(tmp_path: Path) -> None:
    with up(tmp_path / "up", "--broken", "worker for good") as running:
        code = running.process.wait(DEADLINE_S)

        assert code == 1
        assert "worker 0 stopped with exit code 78" in running.said()
        assert "two writers" in running.said()


def test_a_second_up_in_the_same_directory_says_so_and_leaves_the_first_alone(
    tmp_path: Path,
) -> None:
    with up(tmp_path / "up") as first:
        run = first.until_ready()

        second = subprocess.run(
            [sys.executable, fake_up.__file__, str(first.directory)],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

        assert second.returncode == 1
        assert f"already runs in {first.directory} (pid {first.process.pid})" in second.stderr
        assert first.run() == run
        assert all(alive(pid) for pid in every_pid(run))


def test_a_directory_is_free_again_after_its_up_was_killed(tmp_path: Path) -> None:
    with up(tmp_path / "up") as first:
        run = first.until_ready()
        first.process.kill()
        first.process.wait(DEADLINE_S)

        until(lambda: not any(alive(pid) for pid in every_pid(run)), "the children's end")

    with up(tmp_path / "up") as second:
        until(lambda: (second.run() or run) != run, "a run.json of its own")


def test_when_the_embedded_broker_dies_the_store_is_restored_before_all_starts_again(
    tmp_path: Path,
) -> None:
    with up(tmp_path / "up") as running:
        before = running.until_ready()

        os.kill(before["pids"]["broker"], signal.SIGKILL)

        def renewed() -> Json:
            now = running.run()
            if not now or None in every_pid(now) or not now["pids"]["worker"]:
                return None
            return now if not set(every_pid(now)) & set(every_pid(before)) else None

        after = until(renewed, "a new broker and all above it")
        assert after["broker"] == before["broker"]
        assert after["api"] == before["api"]
        assert "the embedded broker died" in running.said()
        assert "restored 7 records" in running.said()
        until(lambda: (running.directory / "diary").read_text().count("life=2") == 1, "life 2")
        topics = AdminClient({"bootstrap.servers": after["broker"]}).list_topics(timeout=DEADLINE_S)
        assert "tollway.ledger" in topics.topics


def test_up_is_not_ready_while_a_partition_has_no_worker(tmp_path: Path) -> None:
    with up(tmp_path / "up", "--broken", "partition") as running:

        def asked_thrice() -> bool:
            return (running.directory / "diary").exists() and running.diary().count(
                ("worker", "asked")
            ) > 3

        until(asked_thrice, "questions whether the worker is ready")
        assert running.run() is None

        (running.directory / "handed-out").touch()
        running.until_ready()


def test_a_restore_that_fails_ends_up_before_any_worker_starts(tmp_path: Path) -> None:
    with up(tmp_path / "up", "--broken", "restore") as running:
        code = running.process.wait(DEADLINE_S)

        assert code == 1
        assert "could not be put back" in running.said()
        assert "the disk is full" in running.said()
        assert not (running.directory / "diary").exists()


def test_up_on_brokers_of_others_starts_none_and_keeps_no_raw_records(
    tmp_path: Path, broker: Broker
) -> None:
    with up(tmp_path / "up", "--brokers", broker.bootstrap) as running:
        run = running.until_ready()

        assert run["broker"] == broker.bootstrap
        assert run["pids"]["broker"] is None
        assert '["embedded=False", "life=None"]' in (running.directory / "diary").read_text()
        assert running.end(signal.SIGTERM) == 0
        assert broker.pid is not None
