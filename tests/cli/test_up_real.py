"""The whole of `tollway up`, nothing faked: spend is exact through kills and restarts."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

DEADLINE_S = 90.0
# Never set: what `until` waits on between two looks.
PAUSE = threading.Event()
Json = Any  # what json.loads gives


class Running:
    """`tollway up` as people start it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.output = directory.parent / "up.out"
        with self.output.open("a") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tollway.cli.main", "up", "--dir", str(directory)],
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self) -> Json:
        return json.loads((self.directory / "run.json").read_text())

    def ready(self) -> bool:
        assert self.process.poll() is None, self.output.read_text()
        return (self.directory / "run.json").exists()

    def pid(self, name: str) -> int | None:
        pids = self.run()["pids"][name]
        if isinstance(pids, list):
            return int(pids[0]) if pids else None
        return None if pids is None else int(pids)

    def ask(self, path: str, document: Json = None) -> Json:
        """The api's answer; None while it does not answer."""
        request = urllib.request.Request(
            self.run()["api"] + path,
            data=None if document is None else json.dumps(document).encode(),
            method="GET" if document is None else "PUT",
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10.0) as answer:
                return json.load(answer)
        except (urllib.error.URLError, OSError):
            return None

    def spend(self) -> dict[str, tuple[int, str]]:
        answer = self.ask("/v1/spend?by=agent") or {"rows": []}
        return {row["agent"]: (row["events"], row["cost"]) for row in answer["rows"]}

    def emit(self, agent: str, first: int, last: int) -> None:
        """Calls of gpt-4o, 0.0035 dollars each, by number: the same number is the same call."""
        producer = Producer(
            {"bootstrap.servers": self.run()["broker"], "partitioner": "murmur2_random"}
        )
        for number in range(first, last + 1):
            event = {
                "id": f"{agent}-{number}",
                "time": datetime.now(UTC).isoformat(),
                "workspace": "default",
                "agent": agent,
                "provider": "openai",
                "model": "gpt-4o",
                "input_tokens": 1000,
                "output_tokens": 100,
            }
            producer.produce("tollway.usage", json.dumps(event), b"default")
        assert producer.flush(DEADLINE_S) == 0

    def until(self, agent: str, events: int, cost: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while self.spend().get(agent) != (events, cost):
            assert time.monotonic() < deadline, (self.spend(), self.output.read_text())
            PAUSE.wait(0.2)

    def until_new(self, name: str, before: int | None) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while self.pid(name) in {None, before} or self.ask("/v1/spend") is None:
            assert time.monotonic() < deadline, self.output.read_text()
            PAUSE.wait(0.2)

    def kill(self, name: str) -> None:
        pid = self.pid(name)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        self.until_new(name, pid)


@contextmanager
def up(directory: Path) -> Iterator[Running]:
    running = Running(directory)
    deadline = time.monotonic() + DEADLINE_S
    try:
        while not running.ready():
            assert time.monotonic() < deadline, running.output.read_text()
            PAUSE.wait(0.1)
        yield running
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(DEADLINE_S) == 0, running.output.read_text()
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait(DEADLINE_S)


@pytest.mark.slow
def test_spend_and_budgets_are_exact_through_kills_of_everything_and_a_restart(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "up"
    with up(directory) as running:
        running.ask("/v1/budgets/cap", {"match": {"agent": "*"}, "limit_usd": "0.10"})
        running.emit("bot", 1, 100)
        running.until("bot", 100, "0.350000000000")

        running.kill("worker")
        running.emit("bot", 101, 150)
        running.until("bot", 150, "0.525000000000")

        running.kill("sink")
        running.emit("bot", 151, 200)
        running.until("bot", 200, "0.700000000000")

        running.kill("broker")
        # Half of them are known already, although their log is gone.
        running.emit("bot", 151, 250)
        running.until("bot", 250, "0.875000000000")

    with up(directory) as running:
        running.emit("bot", 1, 251)
        running.until("bot", 251, "0.878500000000")
        (budget,) = running.ask("/v1/budgets")["rows"]
        assert budget["limit_usd"] == "0.100000000000"
        assert budget["accounts"][0]["spent"] == "0.878500000000"
        decisions = running.ask("/v1/decisions")["rows"]
        assert ("budget:cap", "block") in {(row["rule"], row["action"]) for row in decisions}
        audit = running.ask("/v1/audit")
        assert audit["differences"] == []
        assert audit["balanced"] is True
