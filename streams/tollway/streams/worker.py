"""The worker: owners of partitions, told by Faust what they own, closing their books in time."""

import asyncio
import time
import traceback
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from tollway.domain.prices import Catalogue
from tollway.streams import memory
from tollway.streams.continuing import LogLost
from tollway.streams.ending import EXIT_STOPPED, die
from tollway.streams.kafka import (
    Books,
    Chunk,
    ChunkFetcher,
    CommandReader,
    CommandRecord,
    ControlWriter,
    Fenced,
    read_ledger,
)
from tollway.streams.metrics import Metrics
from tollway.streams.owner import Acknowledged, Closing, Owner
from tollway.streams.recovering import look, recover
from tollway.streams.settings import WorkerSettings

__all__ = ["Worker"]

DELIVERY_S = 60.0
_SLICE = 1000
_RECOVERIES_AT_ONCE = 4


class Owned:
    """A partition from assignment to revocation."""

    __slots__ = ("books", "closing", "committed_s", "owner", "ready", "task")

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.owner: Owner | None = None
        self.books: Books | None = None
        self.task: asyncio.Task[None] | None = None
        self.closing = asyncio.Lock()
        self.committed_s = time.monotonic()


class Worker:
    """Owns partitions of the usage topic. All methods run in one event loop.

    `logs` are the ids of the topics that it reads and writes, as far as the broker gives any.
    """

    def __init__(
        self, settings: WorkerSettings, partitions: int, logs: dict[str, str], metrics: Metrics
    ) -> None:
        self._settings = settings
        self._partitions = partitions
        self._logs = logs
        self._metrics = metrics
        self._catalogue = Catalogue.bundled()
        self._owned: dict[int, Owned] = {}
        self._is_assigned = False
        self._threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="tollway-books")
        self._recovering = asyncio.Semaphore(_RECOVERIES_AT_ONCE)
        self._loop = asyncio.get_running_loop()
        self._control = ControlWriter(settings, die)
        self._commands = CommandReader(settings, self._on_command, die)
        self.fetcher = ChunkFetcher(settings, self._loop)
        self._wake = asyncio.Event()
        self._stopping = False
        self.beat_s = time.monotonic()

    def own(self, partitions: Iterable[int]) -> None:
        """Takes partitions over: each is recovered beside the others."""
        self._is_assigned = True
        for partition in partitions:
            if partition not in self._owned:
                owned = self._owned[partition] = Owned()
                owned.task = asyncio.create_task(self._recover(partition, owned))

    async def _recover(self, partition: int, owned: Owned) -> None:
        async with self._recovering:
            started = time.monotonic()
            try:
                books, owner = await self._loop.run_in_executor(
                    self._threads, self._recover_blocking, partition
                )
            except LogLost as why:
                die(str(why), EXIT_STOPPED)
            except Exception:  # noqa: BLE001 -- crash-only: whatever it is, the supervisor restarts us
                die(f"partition {partition} could not be recovered\n{traceback.format_exc()}")
        if self._owned.get(partition) is not owned:
            return
        owned.books, owned.owner = books, owner
        self._metrics.owned(owner)
        self._metrics.recovery_seconds.observe(time.monotonic() - started)
        self._commands.follow(partition, owner.ledger.commands_offset + 1)
        self.fetcher.follow(partition, owner.ledger.usage_offset + 1)
        owner.publish_standing()
        owned.committed_s = time.monotonic()
        owned.ready.set()
        if self.is_ready():
            memory.settle()
        self._metrics.note(
            f"partition {partition} is owned, from offset {owner.ledger.usage_offset + 1}"
        )

    def _recover_blocking(self, partition: int) -> tuple[Books, Owner]:
        # Fencing comes first: from here on nobody else can write what is read next.
        books = Books(self._settings, partition)
        written = read_ledger(self._settings, partition)
        found = look(self._settings, partition, written.newest, self._logs)
        ledger = recover(partition, self._partitions, self._catalogue, written.newest, found)
        # Without books nobody has judged anything: what people have set comes first.
        seen_until = found.usage.last if written.newest else -1
        torn = {key: written.newest.get(key) for key in written.torn}
        owner = Owner(
            partition, ledger, self._control, seen_until=seen_until, torn=torn, logs=self._logs
        )
        return books, owner

    async def disown(self) -> None:
        """Gives all partitions back: Faust's protocol is eager. Their books have been closed."""
        memory.let_go()
        self._is_assigned = False
        owned, self._owned = self._owned, {}
        for partition, one in owned.items():
            self._commands.leave(partition)
            self.fetcher.leave(partition)
            if one.task is not None and not one.task.done():
                # It ends by itself, finds that it is no longer owned, and leaves nothing behind.
                await asyncio.wait([one.task])
            if one.owner is not None:
                self._metrics.gone(one.owner)

    async def apply(self, chunk: Chunk, event: Acknowledged) -> None:
        """Applies a chunk, in slices, so that the loop breathes."""
        owned = self._owned.get(chunk.partition)
        if owned is None or owned.owner is None or self._stopping:
            # Of a partition that was just given back; its next owner reads it again.
            return
        owner = owned.owner
        self._turn()
        for first in range(0, len(chunk.offsets), _SLICE):
            if not owner.is_open():
                owned.committed_s = time.monotonic()
            owner.apply(chunk, first, first + _SLICE)
            self._metrics.applied(owner, chunk.stamps_ms[-1])
            if owner.ledger.poison_run >= self._settings.poison_limit:
                die(_poisoned(owner, self._settings.poison_limit), EXIT_STOPPED)
            await asyncio.sleep(0)
            if self._owned.get(chunk.partition) is not owned or self._stopping:
                return
        owner.add_chunk(event)
        self._turn()

    def _turn(self) -> None:
        """Notes that the loop turns; ends the process where it has not for a whole session.

        Then another worker owns what this one holds. The books are fenced, decisions are not.
        """
        now_s = time.monotonic()
        stopped_s = now_s - self.beat_s
        if stopped_s > self._settings.session_timeout_s:
            die(f"this process stood still for {stopped_s:.1f} s, longer than its session")
        self.beat_s = now_s

    def _on_command(self, command: CommandRecord) -> None:
        self._loop.call_soon_threadsafe(self._take_command, command)

    def _take_command(self, command: CommandRecord) -> None:
        owned = self._owned.get(command.partition)
        if owned is not None and owned.owner is not None:
            owned.owner.add_command(command)
            self._wake.set()

    async def close_all(self) -> None:
        """Closes the books of all partitions that have something to close."""
        await asyncio.gather(
            *(self._close(partition, owned) for partition, owned in list(self._owned.items()))
        )

    async def _close(self, partition: int, owned: Owned) -> None:
        owner, books = owned.owner, owned.books
        if owner is None or books is None or not owned.ready.is_set():
            return
        async with owned.closing:
            if not owner.is_open():
                return
            started = time.monotonic()
            closing = owner.close()
            try:
                await self._loop.run_in_executor(
                    self._threads, self._write_blocking, books, closing
                )
            except Fenced as why:
                die(str(why))
            except Exception:  # noqa: BLE001 -- crash-only: books not written are read again
                die(f"books of partition {partition} not written\n{traceback.format_exc()}")
            owner.written(closing)
            owned.committed_s = time.monotonic()
            self._metrics.closed(owner, len(closing.records), owned.committed_s - started)

    def _write_blocking(self, books: Books, closing: Closing) -> None:
        # Once the books hold what made them, decisions that did not arrive are never made again.
        if not self._control.flush(DELIVERY_S):
            die(f"decisions were not delivered for {DELIVERY_S:g} s")
        books.write(closing.records)

    async def keep_closing(self) -> None:
        """Closes the books of each partition once a second, one after the other.

        Not all at once: a dozen threads that write would take turns at the interpreter with the
        loop, and a decision would wait for all of them.
        """
        while True:
            began_s = time.monotonic()
            for partition, owned in list(self._owned.items()):
                if self._owned.get(partition) is owned:
                    await self._close(partition, owned)
            memory.settle()
            spent_s = time.monotonic() - began_s
            await asyncio.sleep(max(0.0, self._settings.close_every_s - spent_s))

    async def keep_obeying(self) -> None:
        """Closes the books at once where a command waits: it takes effect when they are."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.gather(
                *(
                    self._close(partition, owned)
                    for partition, owned in list(self._owned.items())
                    if owned.owner is not None and owned.owner.has_commands()
                )
            )

    async def keep_beating(self) -> None:
        """A heartbeat a second for each partition, and now and then what stands."""
        next_emit = time.monotonic() + self._settings.reemit_every_s
        while True:
            await asyncio.sleep(1.0)
            self._turn()
            now_ms = time.time_ns() // 1_000_000
            emit = self.beat_s >= next_emit
            if emit:
                next_emit = self.beat_s + self._settings.reemit_every_s
            for owned in self._owned.values():
                if owned.owner is not None and owned.ready.is_set():
                    owned.owner.beat(now_ms)
                    if emit:
                        owned.owner.publish_standing()
            self._watch()

    def _watch(self) -> None:
        """Ends the process where records wait and the books do not move."""
        for partition, owned in self._owned.items():
            waiting = owned.owner is not None and owned.owner.is_open()
            stuck_s = self.beat_s - owned.committed_s
            if waiting and stuck_s > self._settings.stuck_after_s:
                die(f"books of partition {partition} have not moved for {stuck_s:.0f} s")

    def is_ready(self) -> bool:
        """Whether the group has said what is its own, be it nothing, and all of it is recovered."""
        return self._is_assigned and all(owned.ready.is_set() for owned in self._owned.values())

    def state(self) -> dict[str, object]:
        """What the worker owns and how far it is, for its health page."""
        nothing = {"usage_offset": None, "log_time": None, "counts": None}
        return {
            str(partition): {
                "ready": owned.ready.is_set(),
                **(owned.owner.state() if owned.owner else nothing),
            }
            for partition, owned in sorted(self._owned.items())
        }

    async def stop(self) -> None:
        """Closes the books; what comes after that is read again by the next owner."""
        self._stopping = True
        await self.close_all()
        await self._loop.run_in_executor(self._threads, self._stop_blocking)

    def _stop_blocking(self) -> None:
        self._commands.close()
        self.fetcher.close()
        self._control.close()


def _poisoned(owner: Owner, limit: int) -> str:
    last = owner.ledger.buried[-1] if owner.ledger.buried else None
    why = f"the last is {last.reason}: {last.detail}" if last else "see the dead letters"
    return (
        f"the last {limit} records of partition {owner.partition}, up to offset"
        f" {owner.ledger.usage_offset}, are all unreadable ({why}). The worker stops instead of"
        " draining the topic into the dead letters: mend the producer, then raise"
        " `tollway worker --poison-limit` once to get past them"
    )
