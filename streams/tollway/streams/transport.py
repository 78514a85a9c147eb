"""A Faust transport that delivers all records of one partition's fetch as one message.

Faust's own path costs four asyncio tasks and a turn of the loop a record. Faust's driver keeps the
group and commits; the records come from `ChunkFetcher`. Registered under the entry point
``faust.transports`` as ``tollway``. Read with faust-streaming 0.15.3; the issues that
the overrides answer are named beside them.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, ClassVar

from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message
from faust.types.transports import ConsumerT

from tollway.contract.topics import USAGE
from tollway.streams.kafka import Chunk, ChunkFetcher

__all__ = ["Consumer", "Transport"]


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that owns the aiokafka consumer: it keeps the group, and fetches nothing."""

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        consumer: Any = self._ensure_consumer()
        consumer.pause(*driver.ensure_aiokafka_TPset(assigned))
        await super().on_partitions_assigned(assigned, generation_id)


class Consumer(driver.Consumer):
    """Yields chunks, and commits behind what was acknowledged, in order."""

    # Set by the app before the consumer starts.
    fetcher: ChunkFetcher
    # Set by the app: closes the books and acknowledges, before partitions are given away.
    on_wait_empty: Callable[[], Awaitable[None]]

    async def perform_seek(self) -> None:
        """Chunks begin where the books end, wherever the group's offsets stand.

        Those can be ahead: of a log that was there before, or of books that were begun anew. Faust
        drops what lies before them, without a word.
        """
        await super().perform_seek()
        self._read_offset.clear()
        self._committed_offset.clear()

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]  # as Faust itself calls it
        generation = self.app.consumer_generation_id
        chunks = await self.fetcher.get(timeout)
        for chunk in chunks:
            if self.should_stop or not self.flow_active:
                # What is left over is fetched again by whoever owns it next.
                return
            if self.app.consumer_generation_id == generation:
                yield TP(USAGE.name, chunk.partition), self._message(chunk)

    def _message(self, chunk: Chunk) -> Message:
        """One message for a whole chunk: its offset is the last record's."""
        tp = TP(USAGE.name, chunk.partition)
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            chunk.offsets[-1],
            chunk.stamps_ms[-1] / 1000.0,
            1,
            [],
            None,
            chunk,  # type: ignore[arg-type]  # the schema hands it through undecoded
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    def verify_event_path(self, now: float, tp: TP) -> None:
        """The worker watches its own progress; aiokafka's knows nothing of these chunks."""

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Chunks leave gaps between their offsets, all of them processed (faust#606, #596)."""

    def _new_offset(self, tp: TP) -> int | None:
        """The offset after the last acknowledged one: chunks are acknowledged in order (#606)."""
        acked = self._acked[tp]
        if not acked:
            return None
        newest: int = max(acked)
        acked.clear()
        self._acked_index[tp].clear()
        return newest + 1

    async def wait_empty(self) -> None:
        """Before a rebalance and before the end: close the books, then commit what they hold."""
        await self.on_wait_empty()
        await self.commit_and_end_transactions()


class Transport(driver.Transport):
    """`broker="tollway://host:port"` in a Faust app."""

    Consumer: ClassVar[type[ConsumerT]] = Consumer
