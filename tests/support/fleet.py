"""A broker, two workers and a sink as processes: killed, hung, and started again at once."""

import json
import signal
import sys
import time
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import NoReturn

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # the stubs do not re-export
    AdminClient,
    NewTopic,
)

from brokers import new_broker
from sending import Sender, Sent
from striking import Fault, Happened
from tollway.cli.children import Child
from tollway.cli.kafka.broker import free_port
from tollway.cli.kafka.topics import create_topics
from tollway.contract.topics import USAGE
from watching import Heartbeats
from workload import LogLine

__all__ = ["Fleet", "FleetFailed"]

_PARTITIONS = 12
# A worker that must not be started again says so with this code.
_NEEDS_A_PERSON = 78
_CRASHED = 70
_STOP_S = 60.0
_TICK_S = 0.02

_WORKER = """
import json, sys
from tollway.streams.app import run_worker
from tollway.streams.settings import WorkerSettings
run_worker(WorkerSettings(**json.loads(sys.argv[1])))
"""

Say = Callable[[str], None]


class FleetFailed(RuntimeError):
    """The fleet did what no fault may make it do; says what, with the end of the log."""


class Fleet:
    """Use it from one thread: Linux ends its processes with that thread."""

    def __init__(
        self,
        directory: Path,
        *,
        kind: str,
        log_time: str,
        session_timeout_s: float,
        close_every_s: float,
        say: Say,
    ) -> None:
        self.directory = directory
        self.happened = Happened()
        self._log_time = log_time
        self._say = say
        self.broker = new_broker(kind, directory / "broker")
        self.store = directory / "store"
        self.workers = [
            self._worker(number, session_timeout_s, close_every_s) for number in range(2)
        ]
        self.sink = self._sink()
        self._killed: set[str] = set()
        self._frozen: list[tuple[float, Child]] = []
        self._began_s = time.monotonic()

    def _worker(self, number: int, session_timeout_s: float, close_every_s: float) -> Child:
        settings = {
            "brokers": self.broker.bootstrap,
            "web_port": free_port(),
            "session_timeout_s": session_timeout_s,
            "close_every_s": close_every_s,
            "reemit_every_s": 5.0,
            "data_dir": str(self.directory / f"worker-{number}"),
        }
        command = [sys.executable, "-c", _WORKER, json.dumps(settings)]
        log = self.directory / f"worker-{number}.log"
        return Child(f"worker-{number}", command, log=log, cwd=self.directory)

    def _sink(self) -> Child:
        command = [sys.executable, "-m", "tollway.cli.main", "sink", "--migrate"]
        command += ["--brokers", self.broker.bootstrap, "--clickhouse", f"chdb://{self.store}"]
        command += ["--health-port", str(free_port())]
        return Child("sink", command, log=self.directory / "sink.log", cwd=self.directory)

    def start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.broker.start()
        self._make_topics()
        for child in self.children():
            child.start()

    def children(self) -> list[Child]:
        return [*self.workers, self.sink]

    def _make_topics(self) -> None:
        if self._log_time == "recorded":
            # The file says when the broker got each record, so that hours pass in a minute.
            config = {
                **USAGE.config,
                "message.timestamp.type": "CreateTime",
                "retention.ms": "-1",
            }
            topic = NewTopic(USAGE.name, _PARTITIONS, replication_factor=1, config=config)
            admin = AdminClient({"bootstrap.servers": self.broker.bootstrap, "log_level": 0})
            admin.create_topics([topic])[USAGE.name].result(30.0)
        create_topics(self.broker.bootstrap, _PARTITIONS)

    def tick(self) -> None:
        """Starts again what has ended; raises `FleetFailed` where it may not have."""
        now_s = time.monotonic()
        for until_s, child in list(self._frozen):
            if now_s >= until_s:
                self._frozen.remove((until_s, child))
                child.signal(signal.SIGCONT)
        for child in self.children():
            if not child.running:
                self._note_end(child)
                child.start()

    def _note_end(self, child: Child) -> None:
        code = child.exit_code
        if child.name in self._killed:
            self._killed.discard(child.name)
            return
        last = (child.tail(1) or "no log")[:400]
        self.happened.own_ends.append(f"{self.elapsed():.1f} s: {child.name} {code}: {last}")
        if code != _CRASHED:
            self._fail(f"{child.name} ended with {code}", child)
        self._say(self.happened.own_ends[-1])

    def _fail(self, why: str, child: Child) -> NoReturn:
        raise FleetFailed(f"{why}; the end of {child.log}:\n{child.tail(60)}")

    def elapsed(self) -> float:
        return time.monotonic() - self._began_s

    def strike(self, fault: Fault) -> None:
        if fault.what == "broker":
            self._note(f"kill -9 of the broker, back after {fault.for_s:.1f} s", "broker")
            self.broker.kill()
            until_s = time.monotonic() + fault.for_s
            while time.monotonic() < until_s:
                self.tick()
                self._pause()
            self.broker.start()
        elif fault.what == "hang":
            child = self.workers[fault.which]
            self._note(f"SIGSTOP of {child.name} for {fault.for_s:.1f} s", "hang")
            child.signal(signal.SIGSTOP)
            self._frozen.append((time.monotonic() + fault.for_s, child))
        else:
            child = self.sink if fault.what == "sink" else self.workers[fault.which]
            # It may just have ended by itself; then it is its next life that is killed.
            self.tick()
            self._note(f"kill -9 of {child.name}", fault.what)
            self._killed.add(child.name)
            child.kill()

    def _note(self, text: str, what: str) -> None:
        self.happened.faults.append(f"{self.elapsed():.1f} s: {text}")
        self.happened.kills[what] = self.happened.kills.get(what, 0) + 1
        self._say(self.happened.faults[-1])

    def _pause(self) -> None:
        signal.sigtimedwait((), _TICK_S)

    def stop_workers(self) -> None:
        """SIGTERM: books are closed, and the process ends well."""
        for worker in self.workers:
            worker.terminate()
        until_s = time.monotonic() + _STOP_S
        for worker in self.workers:
            while worker.running and time.monotonic() < until_s:
                self._pause()
            if worker.exit_code != 0:
                self._fail(f"{worker.name} ended with {worker.exit_code} after SIGTERM", worker)

    def stop_sink(self) -> None:
        if not self.sink.stop(_STOP_S) or self.sink.exit_code != 0:
            self._fail(f"the sink ended with {self.sink.exit_code} after SIGTERM", self.sink)

    def end(self) -> None:
        for child in self.children():
            child.kill()
        self.broker.stop()

    def feed(self, lines: list[LogLine], faults: list[Fault], over_s: float) -> None:
        """Sends the log, its first commands before all else, evenly over `over_s`, and strikes."""
        self._began_s = time.monotonic()
        sent = Sent()
        sender = Sender(self.broker.bootstrap, sent, recorded=self._log_time == "recorded")
        beats = Heartbeats(self.broker.bootstrap, _PARTITIONS)
        try:
            head = next(at for at, line in enumerate(lines) if line.topic == "usage")
            for line in lines[:head]:
                sender.send(line)
            sender.flush()
            self.wait("the first commands to take effect", lambda: beats.reached(sent))
            self._stream(lines[head:], sorted(faults, key=attrgetter("at_s")), over_s, sender)
            self.wait("all records to be applied", lambda: beats.reached(sent) and beats.rests(4.0))
        finally:
            beats.close()

    def _stream(
        self, lines: list[LogLine], faults: list[Fault], over_s: float, sender: Sender
    ) -> None:
        began_s = time.monotonic()
        sent = 0
        while sent < len(lines) or faults or self._frozen:
            now_s = time.monotonic() - began_s
            due = min(len(lines), int(len(lines) * now_s / over_s) + 1)
            for line in lines[sent:due]:
                sender.send(line)
            sent = due
            sender.poll(_TICK_S)
            self.tick()
            if faults and faults[0].at_s <= now_s:
                self.strike(faults.pop(0))
        sender.flush()

    def wait(self, what: str, condition: Callable[[], bool], deadline_s: float = 240.0) -> None:
        """Keeps the fleet up until the condition holds; raises `FleetFailed` after the deadline."""
        self._say(f"{time.monotonic() - self._began_s:.1f} s: waiting for {what}")
        until_s = time.monotonic() + deadline_s
        while not condition():
            self.tick()
            if time.monotonic() > until_s:
                tails = "\n".join(f"{c.name}: {c.tail(15)}" for c in self.children())
                raise FleetFailed(f"waited {deadline_s:g} s for {what}\n{tails}")
