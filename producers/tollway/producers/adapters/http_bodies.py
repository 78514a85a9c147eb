"""Bodies of HTTP responses that are still to come: counted while their host reads them, once.

For SDKs over httpx or httpx2: whatever their host makes of the body (an SDK's stream, lines, text),
it comes through `iter_bytes` or `aiter_bytes`; or through `iter_raw` or `aiter_raw`, which is
counted where it is not compressed.
"""

import functools
import re
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Final, Protocol, Self

import msgspec

from tollway.producers.adapters.counted import Counted
from tollway.producers.calls import Call

__all__ = ["Body", "CountedBody", "pass_through", "watch", "without_usage_chunk"]

# Which of the whole events of a stream its host shall see.
Shown = Callable[[bytes], bool]

_EVENT_END: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")
# What ends a stream of chat completions; the SDK reads no further than that.
_DONE: Final = b"[DONE]"
_DECODED: Final = ("iter_bytes", "aiter_bytes")
_RAW: Final = ("iter_raw", "aiter_raw")


class Body(Protocol):
    """What looks at the blocks of one body as they pass."""

    def feed(self, block: bytes) -> bytes:
        """What of the block, and of what was held back before it, the host shall see."""

    def end(self) -> bytes:
        """The body is at its end; what was held back until now."""

    def let_go(self) -> None:
        """The host reads no further. May come more than once, and after the end."""

    def fail(self, error: BaseException) -> None:
        """The connection broke, or the host's task was cancelled."""


class CountedBody:
    """The body of one call's answer. `shown`: which events the host sees; None for all."""

    def __init__(self, call: Call, provider: str, shown: Shown | None = None) -> None:
        self._counted = Counted(call, provider)
        self._shown = shown
        self._held = b""
        self._tail = b""

    def feed(self, block: bytes) -> bytes:
        self._tail = (self._tail + block)[-64:]
        self._counted.feed(block)
        return block if self._shown is None else self._whole_events(block, self._shown)

    def _whole_events(self, block: bytes, shown: Shown) -> bytes:
        data = self._held + block
        passed = []
        begin = 0
        for separator in _EVENT_END.finditer(data):
            event = data[begin : separator.end()]
            begin = separator.end()
            if shown(event):
                passed.append(event)
        self._held = data[begin:]
        return b"".join(passed)

    def end(self) -> bytes:
        self._counted.end()
        held, self._held = self._held, b""
        return held

    def let_go(self) -> None:
        self._counted.let_go(complete=_DONE in self._tail)

    def fail(self, error: BaseException) -> None:
        self._counted.fail(error)


def without_usage_chunk(event: bytes) -> bool:
    """Whether an event of a chat completion is any but the chunk that has nothing but the usage.

    For streams in which we, and not the host, asked for that chunk.
    """
    if b'"usage"' not in event or b'"choices"' not in event:
        return True
    try:
        chunk = msgspec.json.decode(event.partition(b"data:")[2])
    except msgspec.DecodeError:
        return True
    if not isinstance(chunk, dict):
        return True
    return chunk.get("choices") != [] or not isinstance(chunk.get("usage"), dict)


class _Passing:
    """One reading of a body, from its first block to wherever it stops."""

    def __init__(self, body: Body) -> None:
        self._body = body
        # While a block is awaited the response closes by itself; what closes it between two blocks
        # is its host.
        self.awaits = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.awaits = False
        if isinstance(error, GeneratorExit):
            self._body.let_go()
        elif error is not None:
            self._body.fail(error)

    def close(self) -> None:
        """The response is closed, by itself or by its host."""
        if not self.awaits:
            self._body.let_go()

    def sync(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        with self:
            self.awaits = True
            for block in blocks:
                self.awaits = False
                if shown := self._body.feed(block):
                    yield shown
                self.awaits = True
            if held := self._body.end():
                yield held

    async def asynchronous(self, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        with self:
            self.awaits = True
            async for block in blocks:
                self.awaits = False
                if shown := self._body.feed(block):
                    yield shown
                self.awaits = True
            if held := self._body.end():
                yield held

    def through(self, blocks: Any) -> Any:  # noqa: ANN401 (one or the other iterator)
        return self.asynchronous(blocks) if hasattr(blocks, "__anext__") else self.sync(blocks)


def pass_through(blocks: Any, body: Body) -> Any:  # noqa: ANN401 (one or the other iterator)
    """Blocks that an SDK has asked its response for already, seen by `body`."""
    return _Passing(body).through(blocks)


def watch(response: Any, body: Body) -> None:  # noqa: ANN401 (httpx's or httpx2's response)
    """Has `body` see what passes of the response, which stays what it is to its host.

    Its class becomes one of its own, not its attributes: functions that hold their own object
    would make a circle, and only the garbage collector would notice that it was dropped.
    """
    response._tollway = _Passing(body)
    kind: Any = type(response)
    response.__class__ = _watched(kind)


@functools.cache
def _watched(kind: Any) -> type[Any]:  # noqa: ANN401 (a class of httpx)
    """A class as `kind`, whose responses are seen."""

    def close(response: Any) -> None:  # noqa: ANN401 (httpx's)
        response._tollway.close()
        kind.close(response)

    async def aclose(response: Any) -> None:  # noqa: ANN401 (httpx's)
        response._tollway.close()
        await kind.aclose(response)

    inside = {name: _reading(kind, name) for name in (*_DECODED, *_RAW)}
    own = {
        "close": close,
        "aclose": aclose,
        # A copy, here or in another process, is a plain response: it was counted already.
        "__reduce_ex__": lambda response, _: _reduced(kind, response),
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
    }
    return type(kind.__name__, (kind,), inside | own)


def _reading(kind: Any, name: str) -> Callable[..., Any]:  # noqa: ANN401 (a class of httpx)
    read: Callable[..., Any] = getattr(kind, name)

    @functools.wraps(read)
    def seen(response: Any, *args: object, **more: object) -> Any:  # noqa: ANN401 (an iterator of bytes)
        blocks = read(response, *args, **more)
        passing: _Passing = response._tollway
        if name in _RAW and (passing.awaits or "content-encoding" in response.headers):
            # It is asked by itself, for `iter_bytes`; or nobody here could read it.
            return blocks
        return passing.through(blocks)

    return seen


def _reduced(kind: Any, response: Any) -> object:  # noqa: ANN401 (httpx's)
    made = kind.__new__(kind)
    vars(made).update({name: value for name, value in vars(response).items() if name != "_tollway"})
    # By this protocol: the later ones insist on the class of what is pickled.
    return made.__reduce_ex__(1)
