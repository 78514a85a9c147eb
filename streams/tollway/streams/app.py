"""The Faust app: membership, assignment and chunks in; everything else is the worker's."""

import asyncio
import gc
import logging
import sys
import threading
import time
import traceback
from typing import Any

import faust
import mode.loop
from faust.streams import Stream
from faust.types import EventT, Message

from tollway.contract.topics import USAGE
from tollway.streams import memory
from tollway.streams.continuing import CO_PARTITIONED, LOGS
from tollway.streams.ending import EXIT_STOPPED, die
from tollway.streams.kafka import TopicIds, partition_counts
from tollway.streams.metrics import Metrics
from tollway.streams.pages import serve_pages
from tollway.streams.settings import WorkerSettings
from tollway.streams.transport import Consumer
from tollway.streams.worker import Worker

__all__ = ["WorkerApp", "run_worker"]

LOGS_EVERY_S = 5.0
# The loop is watched from a thread: whatever blocks it for so long will not let go.
LOOP_STUCK_S = 60.0
SWITCH_S = 0.001
METADATA_AGE_MS = 5_000


class ChunkSchema(faust.Schema[Any, Any]):
    """Hands chunks through as they are: nothing is decoded here, so nothing can raise here."""

    def loads_key(self, app: Any, message: Message, **kwargs: Any) -> Any:  # noqa: ANN401 -- Faust's signature
        return message.key

    def loads_value(self, app: Any, message: Message, **kwargs: Any) -> Any:  # noqa: ANN401 -- Faust's signature
        return message.value


class WorkerApp(faust.App):
    """Runs one `Worker`. The reasons for each setting are in docs/worker.md."""

    worker: Worker

    def __init__(
        self, settings: WorkerSettings, partitions: int, topic_ids: TopicIds, logs: dict[str, str]
    ) -> None:
        super().__init__(
            settings.group,
            broker=";".join(f"tollway://{broker}" for broker in settings.brokers.split(",")),
            datadir=settings.data_dir,
            web_enabled=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            table_standby_replicas=0,
            stream_buffer_maxsize=4,
            stream_wait_empty=True,
            broker_session_timeout=settings.session_timeout_s,
            broker_heartbeat_interval=settings.session_timeout_s / 5,
            broker_commit_interval=2.0,
            # The driver never polls for records, and must not take that for idleness.
            broker_max_poll_interval=1_000_000.0,
            # A leader that joins while the broker has no topics yet hands out no partitions; it
            # tries again when it sees that they are there.
            consumer_metadata_max_age_ms=METADATA_AGE_MS,
            consumer_auto_offset_reset="earliest",
        )
        self._worker_settings = settings
        self._partition_count = partitions
        self._topic_ids, self._logs = topic_ids, logs
        self.metrics = Metrics()
        usage: Any = self._usage
        self.agent(self.topic(USAGE.name, schema=ChunkSchema()))(usage)
        # Faust types the handlers of signals more narrowly than it calls them.
        assigned: Any = self._assigned
        revoked: Any = self._revoked
        stopping: Any = self._stopping
        self.on_partitions_assigned.connect(assigned)
        self.on_partitions_revoked.connect(revoked)
        self.on_before_shutdown.connect(stopping)

    async def on_start(self) -> None:
        self.worker = Worker(self._worker_settings, self._partition_count, self._logs, self.metrics)
        assert isinstance(self.consumer, Consumer)
        self.consumer.fetcher = self.worker.fetcher
        self.consumer.on_wait_empty = self.worker.close_all
        self.add_future(_or_die(self.worker.keep_closing()))
        self.add_future(_or_die(self.worker.keep_obeying()))
        self.add_future(_or_die(self.worker.keep_beating()))
        self.add_future(_or_die(self._watch_logs()))
        self.add_future(
            serve_pages(
                self.worker,
                self.metrics,
                self._worker_settings.web_host,
                self._worker_settings.web_port,
            )
        )
        threading.Thread(target=self._watch_loop, name="tollway-watchdog", daemon=True).start()
        await super().on_start()

    async def _usage(self, stream: Stream[Any]) -> None:
        async for event in stream.noack().events():
            try:
                await self._apply(event)
            except Exception:  # noqa: BLE001 -- crash-only: Faust would restart the agent in place
                die(f"a chunk could not be applied\n{traceback.format_exc()}")

    async def _apply(self, event: EventT[Any]) -> None:
        chunk: Any = event.value
        await self.worker.apply(chunk, event)

    async def _assigned(self, sender: Any, partitions: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- Faust's signal
        self.worker.own(tp.partition for tp in partitions if tp.topic == USAGE.name)

    async def _revoked(self, sender: Any, partitions: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- Faust's signal
        await self.worker.disown()

    async def _stopping(self, sender: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- Faust's signal
        await self.worker.stop()

    async def _watch_logs(self) -> None:
        """Ends the process where a topic is made anew under it: offsets mean other records then.

        Started again, it finds what that means for each partition.
        """
        while True:
            await asyncio.sleep(LOGS_EVERY_S)
            try:
                now = await self.loop.run_in_executor(None, self._topic_ids.ask)
            except ConnectionError:
                continue
            for topic, name in self._logs.items():
                if now.get(topic, name) != name:
                    die(f"{topic} was made anew: its id is {now[topic]}, not {name}")

    def _watch_loop(self) -> None:
        while True:
            time.sleep(LOOP_STUCK_S / 4)
            stuck_s = time.monotonic() - self.worker.beat_s
            if stuck_s > LOOP_STUCK_S:
                die(f"the event loop has not turned for {stuck_s:.0f} s")


async def _or_die(work: Any) -> None:  # noqa: ANN401 -- any awaitable
    try:
        await work
    except asyncio.CancelledError:
        raise
    except Exception:  # noqa: BLE001 -- crash-only: a worker without its closing keeps no books
        die(f"a task of the worker ended\n{traceback.format_exc()}")


def run_worker(settings: WorkerSettings) -> None:
    """Runs a worker until SIGTERM or Ctrl-C; does not return.

    Exits with 70 where a supervisor should start it again, with 78 where a person must act first.
    """
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    for chatty in ("faust", "mode", "aiokafka"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    topic_ids = TopicIds(settings, LOGS)
    try:
        partitions = _partitions(settings)
        logs = topic_ids.ask()
    except ConnectionError as why:
        die(str(why))
    mode.loop.use("uvloop")
    # The threads that write books give the loop its turn back sooner than after the default 5 ms.
    sys.setswitchinterval(SWITCH_S)
    # The worker settles after each closing; in between there is little to find.
    gc.set_threshold(1_000_000, 20, 100)
    memory.keep_freed_memory()
    app = WorkerApp(settings, partitions, topic_ids, logs)
    worker = faust.Worker(
        app, loglevel="WARN", logging_config=None, redirect_stdouts=False, quiet=True
    )
    # It writes a terminal's control characters into logs as well.
    worker.spinner = None
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        if not end.code:
            raise
        # Faust has told why: most often that there is no broker yet.
        die(f"Faust ended with {end.code}")


def _partitions(settings: WorkerSettings) -> int:
    counts = partition_counts(settings, CO_PARTITIONED)
    if 0 in counts.values() or len(set(counts.values())) != 1:
        said = ", ".join(f"{name} {count}" for name, count in counts.items())
        die(
            f"these topics must exist with the same number of partitions, but have: {said}."
            " Create them with `tollway topics create`",
            EXIT_STOPPED,
        )
    return counts[USAGE.name]
