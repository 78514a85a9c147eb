"""Streams handed through to the host, and counted at their end, wherever that is."""

from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

from tollway.producers.calls import Call, safely
from tollway.producers.responses import Reader

__all__ = ["MeteredAsyncStream", "MeteredStream"]

Chunk = TypeVar("Chunk")
# Which chunks the host shall see: one that we asked for is ours alone.
Shown = Callable[[Chunk], bool]


def _all_shown(chunk: object) -> bool:
    return True


class _Counting:
    """What both kinds of stream do with what passes."""

    def __init__(self, call: Call, provider: str | None, api: str | None) -> None:
        self._call = call
        self._reader: Reader | None = None
        with safely():
            self._reader = Reader(provider=provider, api=api)

    def feed(self, chunk: object) -> None:
        with safely():
            if self._reader is not None:
                self._reader.feed(chunk)

    def end(self) -> None:
        with safely():
            if self._reader is not None:
                self._call.used(self._reader.usage())

    def cut(self, error: BaseException | None = None) -> None:
        """The host let go, or an exception came: what is known by now is a lower bound."""
        with safely():
            usage = None if self._reader is None else self._reader.usage()
            if error is None:
                self._call.aborted(usage)
            else:
                self._call.failed(error, usage)


class MeteredStream(Generic[Chunk]):
    """An iterator over the same chunks. It counts once: at the end, at `close`, or when dropped."""

    def __init__(
        self,
        chunks: Iterator[Chunk],
        call: Call,
        *,
        provider: str | None = None,
        api: str | None = None,
        shown: Shown[Chunk] = _all_shown,
    ) -> None:
        self._chunks = chunks
        self._counting = _Counting(call, provider, api)
        self._shown = shown

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Chunk:
        while True:
            try:
                chunk = next(self._chunks)
            except StopIteration:
                self._counting.end()
                raise
            except BaseException as error:
                self._counting.cut(error)
                raise
            self._counting.feed(chunk)
            if self._shown(chunk):
                return chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __getattr__(self, name: str) -> object:
        """Whatever else the stream has, such as an SDK's `response`."""
        return getattr(self.__dict__["_chunks"], name)

    def close(self) -> None:
        self._counting.cut()
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()

    def __del__(self) -> None:
        counting = getattr(self, "_counting", None)
        if counting is not None:
            counting.cut()


class MeteredAsyncStream(Generic[Chunk]):
    """As `MeteredStream`, for asynchronous iterators."""

    def __init__(
        self,
        chunks: AsyncIterator[Chunk],
        call: Call,
        *,
        provider: str | None = None,
        api: str | None = None,
        shown: Shown[Chunk] = _all_shown,
    ) -> None:
        self._chunks = chunks
        self._counting = _Counting(call, provider, api)
        self._shown = shown

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        while True:
            try:
                chunk = await anext(self._chunks)
            except StopAsyncIteration:
                self._counting.end()
                raise
            except BaseException as error:
                self._counting.cut(error)
                raise
            self._counting.feed(chunk)
            if self._shown(chunk):
                return chunk

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __getattr__(self, name: str) -> object:
        """Whatever else the stream has."""
        return getattr(self.__dict__["_chunks"], name)

    async def aclose(self) -> None:
        self._counting.cut()
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()

    def __del__(self) -> None:
        counting = getattr(self, "_counting", None)
        if counting is not None:
            counting.cut()
