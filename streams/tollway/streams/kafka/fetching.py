"""Fetches the usage records of owned partitions in chunks.

Faust's driver (aiokafka) keeps the group; its fetcher takes more than twice the CPU of librdkafka's
for the same columns (`python -m bench.fetching BROKERS COUNT`), so records come from here.
"""

import asyncio
import threading

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from tollway.contract.topics import USAGE
from tollway.streams.kafka.options import POLL_S
from tollway.streams.kafka.reading import reader
from tollway.streams.settings import WorkerSettings

__all__ = ["Chunk", "ChunkFetcher"]

# Records taken at once, and chunks that may wait for the loop: together they bound the memory.
MAX_RECORDS = 4000
MAX_WAITING = 32


class Chunk:
    """Records of one partition in the order of the log, as columns."""

    __slots__ = ("after", "keys", "offsets", "partition", "session", "stamps_ms", "values")

    def __init__(self, partition: int, session: int, after: int) -> None:
        self.partition = partition
        # Which following of the partition it belongs to: it is void when that is over.
        self.session = session
        # The offset before its first record that was handed over: nothing is left out between.
        self.after = after
        self.values: list[bytes | None] = []
        self.keys: list[bytes | None] = []
        self.offsets: list[int] = []
        self.stamps_ms: list[int] = []


class _Following:
    __slots__ = ("first_offset", "last", "session")

    def __init__(self, session: int, first_offset: int) -> None:
        self.session = session
        self.first_offset = first_offset
        self.last = first_offset - 1


class ChunkFetcher:
    """Follows partitions from where it is told, in a thread; `get` hands chunks to the loop."""

    def __init__(self, settings: WorkerSettings, loop: asyncio.AbstractEventLoop) -> None:
        self._consumer: Consumer = reader(
            settings,
            {
                # What is uncommitted is read too: agents need no transactions, and an aborted
                # one of somebody else's is told by its ids when it is sent again.
                "isolation.level": "read_uncommitted",
                "auto.offset.reset": "error",
                "queued.max.messages.kbytes": 64 * 1024,
                "fetch.message.max.bytes": 4 * 1024 * 1024,
            },
        )
        self._loop = loop
        self._lock = threading.Lock()
        self._following: dict[int, _Following] = {}
        self._sessions = 0
        self._changed = False
        self._stop = threading.Event()
        self._room = threading.Semaphore(MAX_WAITING)
        self._chunks: asyncio.Queue[Chunk] = asyncio.Queue()
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._read, name="tollway-chunks", daemon=True)
        self._thread.start()

    def follow(self, partition: int, first_offset: int) -> None:
        with self._lock:
            self._sessions += 1
            self._following[partition] = _Following(self._sessions, first_offset)
            self._changed = True

    def leave(self, partition: int) -> None:
        with self._lock:
            self._following.pop(partition, None)
            self._changed = True

    async def get(self, timeout_s: float) -> list[Chunk]:
        """Chunks of partitions still followed, oldest first; none after `timeout_s`."""
        if self._failure is not None:
            raise ConnectionError(self._failure)
        try:
            chunks = [await asyncio.wait_for(self._chunks.get(), timeout_s)]
        except TimeoutError:
            return []
        while not self._chunks.empty():
            chunks.append(self._chunks.get_nowait())
        for _ in chunks:
            self._room.release()
        with self._lock:
            return [chunk for chunk in chunks if self._is_current(chunk)]

    def _is_current(self, chunk: Chunk) -> bool:
        following = self._following.get(chunk.partition)
        return following is not None and following.session == chunk.session

    def _read(self) -> None:
        while not self._stop.is_set():
            if self._changed:
                self._assign()
            # The first record as soon as it is there, then whatever came with it.
            first = self._consumer.poll(POLL_S)
            if first is None:
                continue
            records = [first, *self._consumer.consume(MAX_RECORDS - 1, 0)]
            try:
                chunks = self._cut(records)
            except KafkaException as error:
                self._failure = f"{USAGE.name} cannot be read: {error.args[0].str()}"
                return
            for chunk in chunks:
                while not self._room.acquire(timeout=0.5):
                    if self._stop.is_set():
                        return
                self._loop.call_soon_threadsafe(self._chunks.put_nowait, chunk)

    def _assign(self) -> None:
        """Takes the partitions up anew; those that go on, go on behind what was handed over."""
        with self._lock:
            self._changed = False
            self._consumer.assign(
                [
                    TopicPartition(USAGE.name, partition, following.last + 1)
                    for partition, following in self._following.items()
                ]
            )

    def _cut(self, records: list[Message]) -> list[Chunk]:
        """Sorts records into one chunk a partition. Raises `KafkaException` for lasting errors."""
        chunks: dict[int, Chunk] = {}
        with self._lock:
            following = self._following
            for record in records:
                if record.error() is not None:
                    _check(record)
                    continue
                partition: int = record.partition()  # type: ignore[assignment]  # set where there is no error
                offset: int = record.offset()  # type: ignore[assignment]  # set where there is no error
                of = following.get(partition)
                if of is None or offset <= of.last:
                    # Left over from an assignment that has changed.
                    continue
                chunk = chunks.get(partition)
                if chunk is None:
                    chunk = chunks[partition] = Chunk(partition, of.session, of.last)
                of.last = offset
                chunk.offsets.append(offset)
                chunk.values.append(record.value())
                chunk.keys.append(record.key())
                chunk.stamps_ms.append(record.timestamp()[1])
        return list(chunks.values())

    def close(self) -> None:
        self._stop.set()
        self._thread.join(2.0)
        self._consumer.close()


def _check(record: Message) -> None:
    error = record.error()
    if error is not None and not error.retriable() and error.code() != KafkaError._PARTITION_EOF:
        raise KafkaException(error)
