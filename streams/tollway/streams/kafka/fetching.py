"""Fetches the usage records of owned partitions in chunks.

Faust's driver (aiokafka) keeps the group; its fetcher takes more than twice the CPU of librdkafka's
for the same columns (`python -m bench.fetching BROKERS COUNT`), so records come from here.
"""

import asyncio
import threading
from itertools import groupby

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from tollway.contract.topics import USAGE
from tollway.streams.kafka.options import POLL_S
from tollway.streams.kafka.reading import reader
from tollway.streams.settings import WorkerSettings

__all__ = ["Chunk", "ChunkFetcher"]

# Records taken at once, and how much librdkafka holds ready: together they bound the memory.
MAX_RECORDS = 4000
MAX_READY_KIB = 16 * 1024


class Chunk:
    """Records of one partition in the order of the log, as columns.

    `records` are the records themselves, for their headers: few are ever looked at, and reading
    them costs as much as the other columns together.
    """

    __slots__ = ("after", "keys", "offsets", "partition", "records", "stamps_ms", "values")

    def __init__(self, partition: int, after: int) -> None:
        self.partition = partition
        # The offset before its first record that was handed over: nothing is left out between.
        self.after = after
        self.values: list[bytes | None] = []
        self.keys: list[bytes | None] = []
        self.offsets: list[int] = []
        self.stamps_ms: list[int] = []
        self.records: list[Message] = []


class ChunkFetcher:
    """Follows partitions from where it is told; `get` gives the loop what has come.

    While records keep coming, the loop takes them from librdkafka by itself: a thread that did
    would fight with it for the interpreter. When none are there, a thread waits for the next one.
    One of the two has the consumer at a time.
    """

    def __init__(self, settings: WorkerSettings, loop: asyncio.AbstractEventLoop) -> None:
        self._consumer: Consumer = reader(
            settings,
            {
                # What is uncommitted is read too: agents need no transactions, and an aborted
                # one of somebody else's is told by its ids when it is sent again.
                "isolation.level": "read_uncommitted",
                "auto.offset.reset": "error",
                "queued.max.messages.kbytes": MAX_READY_KIB,
                "fetch.message.max.bytes": 1024 * 1024,
            },
        )
        self._loop = loop
        # Of each partition followed, the last offset that was handed over.
        self._last: dict[int, int] = {}
        self._changed = False
        self._stopped = False
        # The thread has the consumer while this is set; then `_returned` gives it back.
        self._lent = threading.Event()
        self._returned = asyncio.Event()
        self._first: Message | None = None
        self._thread = threading.Thread(target=self._wait, name="tollway-chunks", daemon=True)
        self._thread.start()

    def follow(self, partition: int, first_offset: int) -> None:
        self._last[partition] = first_offset - 1
        self._changed = True

    def leave(self, partition: int) -> None:
        self._last.pop(partition, None)
        self._changed = True

    async def get(self, timeout_s: float) -> list[Chunk]:
        """Chunks of partitions that are followed, oldest first; none after `timeout_s`.

        Raises `ConnectionError` where the log cannot be read any more.
        """
        if not self._lent.is_set() and (chunks := self._take()):
            return chunks
        self._returned.clear()
        self._lent.set()
        try:
            await asyncio.wait_for(self._returned.wait(), timeout_s)
        except TimeoutError:
            return []
        return self._take()

    def _take(self) -> list[Chunk]:
        """What is there by now: the record that the thread waited for, and what came with it."""
        first, self._first = self._first, None
        if self._changed:
            # It may be of the assignment that was; if it is not, it is read again.
            first = None
            self._assign()
        records = self._consumer.consume(MAX_RECORDS, 0)
        try:
            return self._cut(records if first is None else [first, *records])
        except KafkaException as error:
            said = error.args[0].str()
            raise ConnectionError(f"{USAGE.name} cannot be read: {said}") from error

    def _wait(self) -> None:
        while True:
            self._lent.wait()
            if self._stopped:
                return
            first = None if self._changed else self._consumer.poll(POLL_S)
            if first is None and not self._changed:
                continue
            self._lent.clear()
            self._loop.call_soon_threadsafe(self._give_back, first)

    def _give_back(self, first: Message | None) -> None:
        self._first = first
        self._returned.set()

    def _assign(self) -> None:
        """Takes the partitions up anew; those that go on, go on behind what was handed over."""
        self._changed = False
        self._consumer.assign(
            [
                TopicPartition(USAGE.name, partition, last + 1)
                for partition, last in self._last.items()
            ]
        )

    def _cut(self, records: list[Message]) -> list[Chunk]:
        """Sorts records into one chunk a partition. Raises `KafkaException` for lasting errors."""
        chunks: dict[int, Chunk] = {}
        for partition, run in groupby(records, _partition):
            # Left over from an assignment that has changed is what nobody asked for any more.
            last = self._last.get(partition, _NOT_FOLLOWED)
            wanted = [record for record in run if record.error() is None or _check(record)]
            offsets: list[int] = [record.offset() for record in wanted]  # type: ignore[misc]  # set where there is no error
            if offsets and offsets[0] <= last:
                wanted = [r for r, offset in zip(wanted, offsets, strict=True) if offset > last]
                offsets = [offset for offset in offsets if offset > last]
            if not offsets:
                continue
            chunk = chunks.get(partition)
            if chunk is None:
                chunk = chunks[partition] = Chunk(partition, last)
            chunk.offsets += offsets
            chunk.values += [r.value() for r in wanted]
            chunk.keys += [r.key() for r in wanted]
            chunk.stamps_ms += [r.timestamp()[1] for r in wanted]
            chunk.records += wanted
            self._last[partition] = offsets[-1]
        return list(chunks.values())

    def close(self) -> None:
        self._stopped = True
        self._lent.set()
        self._thread.join(2.0)
        self._consumer.close()


# More than any offset: whatever comes of a partition that is not followed is left over.
_NOT_FOLLOWED = 2**63


def _partition(record: Message) -> int:
    partition: int = record.partition()  # type: ignore[assignment]  # set for all that is consumed
    return partition


def _check(record: Message) -> bool:
    """False: an error is no record. Raises it where it lasts."""
    error = record.error()
    if error is not None and not error.retriable() and error.code() != KafkaError._PARTITION_EOF:
        raise KafkaException(error)
    return False
