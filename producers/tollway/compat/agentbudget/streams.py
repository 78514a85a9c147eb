"""Streams of a session: the host's own, counted where they end, by whoever reads them."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Iterator
from types import TracebackType
from typing import Protocol, Self, cast

from tollway.producers.ambient import Attribution
from tollway.producers.calls import Call
from tollway.producers.streams import MeteredAsyncStream, MeteredStream

__all__ = ["CountedAsyncStream", "CountedStream"]


class Counting(Protocol):
    """The session of a stream."""

    around: Attribution

    def settle(self) -> None:
        """Raises where the session must not go on."""


def _is_shown(chunk: object) -> bool:
    """The chunk that we asked for has no choices, and hosts read the first one."""
    return bool(getattr(chunk, "choices", True)) or getattr(chunk, "usage", None) is None


def _always(chunk: object) -> bool:
    return True


class CountedStream(MeteredStream[object]):
    """The host's stream: its chunks, its attributes, its ``with``. Whoever reads it, and wherever,
    it counts in the session that made the call. `ours`: we asked it for its usage."""

    def __init__(self, stream: object, call: Call, session: Counting, *, ours: bool) -> None:
        self._stream = stream
        self._session = session
        steps = cast(Iterator[object], stream)
        if not hasattr(stream, "__next__"):
            steps = iter(steps)
        super().__init__(steps, call, shown=_is_shown if ours else _always)

    def __next__(self) -> object:
        try:
            with self._session.around:
                return super().__next__()
        except StopIteration:
            self._session.settle()
            raise

    def close(self) -> None:
        with self._session.around:
            super().close()

    def __del__(self) -> None:
        session = vars(self).get("_session")
        if session is not None:
            with session.around:
                super().__del__()

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
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._stream, name)


class CountedAsyncStream(MeteredAsyncStream[object]):
    """As `CountedStream`, for asynchronous ones."""

    def __init__(self, stream: object, call: Call, session: Counting, *, ours: bool) -> None:
        self._stream = stream
        self._session = session
        steps = cast(AsyncIterator[object], stream)
        if not hasattr(stream, "__anext__"):
            steps = aiter(steps)
        super().__init__(steps, call, shown=_is_shown if ours else _always)

    async def __anext__(self) -> object:
        try:
            with self._session.around:
                return await super().__anext__()
        except StopAsyncIteration:
            self._session.settle()
            raise

    async def aclose(self) -> None:
        with self._session.around:
            await super().aclose()

    async def close(self) -> None:
        """By the name that OpenAI's stream has for it; `aclose` is Python's."""
        await self.aclose()
        close = getattr(self._stream, "close", None)
        if close is not None and not hasattr(self._stream, "aclose"):
            closing = close()
            if inspect.isawaitable(closing):
                await cast(Awaitable[object], closing)

    def __del__(self) -> None:
        session = vars(self).get("_session")
        if session is not None:
            with session.around:
                super().__del__()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __getattr__(self, name: str) -> object:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._stream, name)
