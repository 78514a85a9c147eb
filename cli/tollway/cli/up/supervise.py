"""Starts the children in order, repairs the one that dies, stops them in order."""

import time
from collections.abc import Callable

import msgspec

from tollway.cli.children import Child
from tollway.cli.kafka.broker import Broker
from tollway.cli.kafka.topics import create_topics
from tollway.cli.signals import Signals
from tollway.cli.up.commands import Commands, Place
from tollway.cli.up.directory import RunDirectory, RunFile
from tollway.cli.up.member import GaveUp, Member, Patience, how_it_ended
from tollway.cli.up.restored import Restored

__all__ = ["Ports", "Supervisor"]

READY_TIMEOUT_S = 120.0
RESTORE_TIMEOUT_S = 600.0
_TICK_S = 0.2
_LOG_LIMIT_EVERY_S = 5.0
# A worker closes its books, then the sinks write what it has closed.
WORKER_STOP_S = 20.0
STORE_STOP_S = 30.0
# Without a broker there is nothing to read on to: only what it has read is left to be written.
STORE_STOP_WITHOUT_BROKER_S = 3.0


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    api: int
    workers: tuple[int, ...]


class Supervisor:
    """One `up`. `broker` is None where the brokers are somebody else's."""

    def __init__(
        self,
        directory: RunDirectory,
        place: Place,
        ports: Ports,
        broker: Broker | None,
        commands: Commands,
        signals: Signals,
        say: Callable[[str], None],
    ) -> None:
        self._directory = directory
        self._place = place
        self._ports = ports
        self._broker = broker
        self._broker_patience = Patience()
        self._commands = commands
        self._signals = signals
        self._say = say
        self._store: Member | None = None
        self._workers: list[Member] = []
        self._written: RunFile | None = None
        self._logs_limited_at = 0.0
        # Something has died, and not all that runs is ready yet.
        self._mending = False

    def run(self) -> None:
        """Until a stop is requested; `GaveUp` when there is no point in going on."""
        try:
            self._bring_up()
            ready = self._until_ready()
            if ready:
                self._keep_run_file()
                self._mending = False
                self._say(self._how_to_go_on())
            while not self._signals.stop_requested:
                self._tick()
                self._keep_run_file()
                self._tell_when_mended()
        finally:
            self._stop()

    def _bring_up(self) -> None:
        """Everything that stands on the broker, from the broker on."""
        if self._broker is not None:
            self._broker.start()
        create_topics(self._place.brokers, self._place.partitions)
        life = self._restore() if self._broker is not None else None
        if self._signals.stop_requested:
            return
        logs = self._directory.logs
        store = self._commands.store(self._place, self._ports.api, life)
        self._store = Member(Child("store", store, log=logs / "store.log"), self._ports.api)
        self._workers = [
            Member(
                Child(
                    f"worker {number}",
                    self._commands.worker(self._place, port),
                    log=logs / f"worker-{number}.log",
                ),
                port,
            )
            for number, port in enumerate(self._ports.workers)
        ]
        for member in self._members():
            member.start()

    def _restore(self) -> int:
        """The life of the log that the store counts from now on."""
        result = self._directory.path / "restored.json"
        result.unlink(missing_ok=True)
        child = Child(
            "restore",
            self._commands.restore(self._place, result),
            log=self._directory.logs / "restore.log",
        )
        child.start()
        deadline = time.monotonic() + RESTORE_TIMEOUT_S
        while child.running and not self._signals.stop_requested and time.monotonic() < deadline:
            self._signals.wait(_TICK_S)
        if child.running:
            child.kill()
            if self._signals.stop_requested:
                return 0
        if child.exit_code != 0:
            raise GaveUp(
                f"the store's records could not be put back into the embedded broker"
                f" ({how_it_ended(child)}); the end of {child.log}:\n{child.tail()}"
            )
        restored = msgspec.json.decode(result.read_bytes(), type=Restored)
        if restored.records:
            self._say(f"restored {restored.records} records of an earlier run")
        return restored.life

    def _until_ready(self) -> bool:
        """False if a stop was requested before."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self._signals.stop_requested:
            self._tick()
            waiting = self._waited_for()
            if waiting is None:
                return True
            if time.monotonic() > deadline:
                slow = waiting.child
                raise GaveUp(
                    f"{slow.name} was not ready within {READY_TIMEOUT_S:g} s; the end of"
                    f" {slow.log}:\n{slow.tail()}"
                )
        return False

    def _tick(self) -> None:
        self._signals.wait(_TICK_S)
        now = time.monotonic()
        if self._broker is not None and self._broker.pid is None:
            self._bring_up_again(now)
            return
        for member in self._members():
            line = member.mend(now)
            if line is not None:
                self._mending = True
                self._say(line)
        if now - self._logs_limited_at > _LOG_LIMIT_EVERY_S:
            self._logs_limited_at = now
            self._directory.limit_logs()

    def _bring_up_again(self, now: float) -> None:
        """The log is gone with its broker, and with it every offset that the others hold."""
        pause_s = self._broker_patience.death(now)
        if pause_s is None:
            raise GaveUp(f"the embedded broker died too often; see {self._directory.logs}")
        self._mending = True
        self._say("the embedded broker died: starting it again, and everything that reads it")
        for member in self._workers:
            # Without its log there is nothing left that it could commit.
            member.child.kill()
        if self._store is not None:
            self._store.child.stop(STORE_STOP_WITHOUT_BROKER_S)
        if self._written is not None:
            self._keep_run_file()
        self._signals.wait(pause_s)
        self._bring_up()

    def _tell_when_mended(self) -> None:
        if self._mending and self._waited_for() is None:
            self._mending = False
            self._say("all is up again")

    def _waited_for(self) -> Member | None:
        """Who is not ready yet. None is one while a partition is nobody's: what is sent there
        would be judged by no one. On brokers of others it may be another worker's.
        """
        waiting = next((member for member in self._members() if not member.ready()), None)
        if waiting is not None or self._broker is None:
            return waiting
        owned = set[int]().union(*(worker.partitions() for worker in self._workers))
        return None if len(owned) == self._place.partitions else self._workers[0]

    def _members(self) -> list[Member]:
        return [*([self._store] if self._store is not None else []), *self._workers]

    def _stop(self) -> None:
        self._directory.forget_run()
        for member in self._workers:
            member.child.terminate()
        for member in self._workers:
            self._tell_if_killed(member.child, member.child.stop(WORKER_STOP_S))
        if self._store is not None:
            self._tell_if_killed(self._store.child, self._store.child.stop(STORE_STOP_S))
        if self._broker is not None:
            self._broker.stop()

    def _tell_if_killed(self, child: Child, obeyed: bool) -> None:
        if not obeyed:
            self._say(f"{child.name} did not stop in time and was killed (log: {child.log})")

    def _keep_run_file(self) -> None:
        workers = [member.child.pid for member in self._workers]
        run: RunFile = {
            "broker": self._place.brokers,
            "api": self._api,
            "key": None,
            "pids": {
                "broker": self._broker.pid if self._broker is not None else None,
                "worker": [pid for pid in workers if pid is not None],
                "sink": self._store.child.pid if self._store is not None else None,
            },
        }
        if run != self._written:
            self._directory.write_run(run)
            self._written = run

    @property
    def _api(self) -> str:
        return f"http://127.0.0.1:{self._ports.api}"

    def _how_to_go_on(self) -> str:
        kind = self._broker.kind if self._broker is not None else "not ours"
        return (
            f"tollway is up in {self._directory.path}\n"
            f"  broker  {self._place.brokers} ({kind})\n"
            f"  api     {self._api}\n"
            f"To go on, in another shell:\n"
            f"  export TOLLWAY_BROKERS={self._place.brokers} TOLLWAY_API={self._api}\n"
            f"  tollway spend\n"
            f"Ctrl-C stops everything."
        )
