"""LiteLLM's streams: counted as the host reads them, and still objects of the same kinds."""

import functools
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import AsyncGeneratorType, GeneratorType
from typing import Any, Final

from tollway.producers.adapters.patching import Patches
from tollway.producers.calls import Call
from tollway.producers.streams import MeteredAsyncStream, MeteredStream

__all__ = ["Streams", "asks_for_usage"]

# On a stream of LiteLLM: what counts it.
_COUNTED: Final = "_tollway"
_CHATS: Final = frozenset({"completion", "acompletion"})

Step = Callable[[], Any]  # a chunk, or what is awaited for one


class Streams:
    """Watches the kinds of streams that it is given, each from its first one on."""

    def __init__(self, patches: Patches) -> None:
        self._patches = patches
        self._lock = threading.Lock()
        self._watched: set[tuple[type, str]] = set()

    def take(
        self,
        stream: Any,  # noqa: ANN401 (LiteLLM's)
        call: Call,
        provider: str,
        *,
        is_async: bool,
        hides_usage: bool,
    ) -> Any:  # noqa: ANN401 (as above)
        """The stream to hand to the host; None for what is no stream."""
        if isinstance(stream, GeneratorType):
            return MeteredStream(stream, call, provider=provider or None)
        if isinstance(stream, AsyncGeneratorType):
            return MeteredAsyncStream(stream, call, provider=provider or None)
        if not hasattr(stream, "__anext__" if is_async else "__next__"):
            return None
        self._watch(type(stream))
        counted = _Counted(call, provider, is_async=is_async, hides_usage=hides_usage)
        setattr(stream, _COUNTED, counted)
        return stream

    def _watch(self, kind: type) -> None:
        with self._lock:
            for name, wrapper in _WRAPPERS.items():
                owner = next((each for each in kind.__mro__ if name in vars(each)), None)
                if owner is not None and (owner, name) not in self._watched:
                    self._watched.add((owner, name))
                    self._patches.wrap(owner, name, wrapper)


def asks_for_usage(function: str, arguments: dict[str, Any]) -> bool:
    """Whether the stream of a chat must be asked for its usage, and can be."""
    if function not in _CHATS or arguments.get("stream") is not True:
        return False
    if arguments.get("stream_options") is not None:
        return False
    known = sys.modules["litellm"].get_supported_openai_params(
        model=arguments["model"], custom_llm_provider=arguments.get("custom_llm_provider")
    )
    return "stream_options" in (known or ())


class _Steps:
    """The chunks of one stream, pulled one by one through whatever method the host calls."""

    def __init__(self, hides_usage: bool) -> None:
        # Only while the stream is asked, so that the stream can be let go of.
        self.pull: Step | None = None
        self._hides_usage = hides_usage
        self._last: Any = None
        self._told = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    def __next__(self) -> Any:  # noqa: ANN401 (a chunk of LiteLLM)
        if self.pull is None:
            raise StopIteration
        try:
            chunk = self.pull()
        except StopIteration:
            usage = self._usage_at_the_end()
            if usage is None:
                raise
            return usage
        return self._seen(chunk)

    async def __anext__(self) -> Any:  # noqa: ANN401 (a chunk of LiteLLM)
        if self.pull is None:
            raise StopAsyncIteration
        try:
            chunk = await self.pull()
        except StopAsyncIteration:
            usage = self._usage_at_the_end()
            if usage is None:
                raise
            return usage
        return self._seen(chunk)

    def shown(self, chunk: Any) -> bool:  # noqa: ANN401 (a chunk of LiteLLM, or ours)
        """Not ours, and not what the host did not ask for."""
        if isinstance(chunk, _Usage):
            return False
        return not (self._hides_usage and getattr(chunk, "usage", None) is not None)

    def _seen(self, chunk: Any) -> Any:  # noqa: ANN401 (a chunk of LiteLLM)
        self._last = chunk
        self._told = self._told or getattr(chunk, "usage", None) is not None
        return chunk

    def _usage_at_the_end(self) -> "_Usage | None":
        """Where a stream was not asked for its usage, LiteLLM puts it beside the last chunk."""
        if self._told:
            return None
        self._told = True
        hidden = getattr(self._last, "_hidden_params", None)
        usage = hidden.get("usage") if isinstance(hidden, dict) else None
        return None if usage is None else _Usage(usage)


class _Usage(dict[str, object]):
    """A chunk with nothing but usage, as OpenAI's last one."""

    def __init__(self, usage: object) -> None:
        super().__init__(object="chat.completion.chunk", choices=[], usage=usage)


class _Counted:
    """What one stream is counted with."""

    def __init__(self, call: Call, provider: str, *, is_async: bool, hides_usage: bool) -> None:
        self._steps = _Steps(hides_usage)
        kind = MeteredAsyncStream if is_async else MeteredStream
        self._metered: Any = kind(
            self._steps, call, provider=provider or None, shown=self._steps.shown
        )

    @property
    def is_stepping(self) -> bool:
        """A method that the stream calls in another of its methods is the same step."""
        return self._steps.pull is not None

    def step(self, pull: Step) -> Any:  # noqa: ANN401 (a chunk of LiteLLM)
        self._steps.pull = pull
        try:
            return next(self._metered)
        finally:
            self._steps.pull = None

    async def step_async(self, pull: Step) -> Any:  # noqa: ANN401 (a chunk of LiteLLM)
        self._steps.pull = pull
        try:
            return await anext(self._metered)
        finally:
            self._steps.pull = None

    def close(self) -> None:
        if isinstance(self._metered, MeteredStream):
            self._metered.close()

    async def aclose(self) -> None:
        if isinstance(self._metered, MeteredAsyncStream):
            await self._metered.aclose()


def _counted_on(stream: Any) -> _Counted | None:  # noqa: ANN401 (LiteLLM's)
    counted: _Counted | None = vars(stream).get(_COUNTED)
    return None if counted is None or counted.is_stepping else counted


def _stepping(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def step(stream: Any) -> Any:  # noqa: ANN401 (LiteLLM's)
        counted = _counted_on(stream)
        pull = functools.partial(original, stream)
        return pull() if counted is None else counted.step(pull)

    return step


def _stepping_async(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(original)
    async def step(stream: Any) -> Any:  # noqa: ANN401 (LiteLLM's)
        counted = _counted_on(stream)
        pull = functools.partial(original, stream)
        return await (pull() if counted is None else counted.step_async(pull))

    return step


def _closing(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def close(stream: Any) -> None:  # noqa: ANN401 (LiteLLM's)
        counted = _counted_on(stream)
        # LiteLLM's own first: what is let go of below is counted there.
        original(stream)
        if counted is not None:
            counted.close()

    return close


def _closing_async(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(original)
    async def aclose(stream: Any) -> None:  # noqa: ANN401 (LiteLLM's)
        counted = _counted_on(stream)
        await original(stream)
        if counted is not None:
            await counted.aclose()

    return aclose


_WRAPPERS: Final = {
    "__next__": _stepping,
    "__anext__": _stepping_async,
    "close": _closing,
    "aclose": _closing_async,
}
