"""What the SDKs of OpenAI and Anthropic share: every request goes through a client's `request`.

So there is one place that sees all of them: sync and async, streamed, parsed, raw, of clients made
before and after, of subclasses, and of `client.post` itself.
"""

import functools
import inspect
from collections.abc import Callable, Iterable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Final, Protocol, Self

from tollway.producers.adapters.attaching import Detach
from tollway.producers.adapters.http_bodies import CountedBody, Shown, watch
from tollway.producers.adapters.patching import Patches
from tollway.producers.adapters.stainless_reading import (
    Sdks,
    is_model,
    open_response,
    refused,
    said,
    tells_nothing,
)
from tollway.producers.calls import Asked, Call, Usage, begin, safely

__all__ = ["Exchange", "Sdk", "attach_to", "wrap_client"]

# What an SDK's client calls before it asks again.
_RETRY: Final = "_sleep_for_retry"


class Sdk(Protocol):
    """What differs between the SDKs."""

    def asked(self, client: Sdks, options: Sdks) -> Asked | None:
        """What a request asks for; None for one that costs nothing."""

    def changed(self, client: Sdks, options: Sdks) -> tuple[Sdks, Shown | None]:
        """The options to ask for a stream with, and what to hide of it because of that."""

    def refuses(self, client: Sdks, error: BaseException) -> bool:
        """Whether the error is about what `changed` has changed."""

    def keeps(self, call: Call, result: Sdks) -> bool:
        """Whether the answer says that the work goes on; then the call waits for `looked_up`."""

    def looked_up(self, client: Sdks, options: Sdks, result: Sdks) -> None:
        """The answer to a request that costs nothing: it may tell of what was used before."""


class Exchange:
    """One request of a client and its answer, with the SDK's retries in between."""

    def __init__(self, sdk: Sdk, client: Sdks, plain: Sdks, call: Call) -> None:
        self._sdk = sdk
        self._client = client
        self._plain = plain
        self._call = call
        self.options = plain
        # Which events of a stream the host sees; None for all.
        self.shown: Shown | None = None
        self.retries = 0
        self._running = call.running()
        self._token: Token[Exchange | None] | None = None

    def __enter__(self) -> Self:
        self._token = _exchange.set(self)
        self._running.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """True where the request must be made again, the way the host made it."""
        self._running.__exit__(None, None, None)
        if self._token is not None:
            _exchange.reset(self._token)
        if error is None:
            return False
        with safely():
            if self.options is not self._plain and self._sdk.refuses(self._client, error):
                self.options, self.shown = self._plain, None
                self._running = self._call.running()
                return True
            self._note_retries()
            self._call.failed(error, refused(error))
        return False

    def answered(self, result: Sdks) -> Sdks:
        """The result, counted or about to be."""
        with safely():
            self._note_retries()
            whole = is_model(result)
            response = None if whole else open_response(result)
            if response is not None and tells_nothing(response):
                self._call.used(Usage(usage_missing=True))
            elif response is not None:
                asked = self._call.asked
                provider = "" if asked is None else asked.provider
                watch(response, CountedBody(self._call, provider, self.shown))
            elif not self._sdk.keeps(self._call, result):
                self._call.answered(result if whole else said(result))
        return result

    def _note_retries(self) -> None:
        if self.retries:
            self._call.fields["attempt"] = self.retries


_exchange: ContextVar[Exchange | None] = ContextVar("tollway_exchange", default=None)


def attach_to(sdk: Sdk, clients: Iterable[type[Any]]) -> Detach:
    """Meters every client of these classes, and of classes made of them."""
    patches = Patches()
    for client in clients:
        patches.wrap(client, "request", functools.partial(_requesting_of(client), sdk))
        # Private, so it may be gone: then the number of retries is not known.
        if hasattr(client, _RETRY):
            patches.wrap(client, _RETRY, _before_retry)
    return patches.undo


def wrap_client(sdk: Sdk, client: Sdks) -> Sdks:
    """Meters this client, and those that `with_options` makes of it, and no other."""
    if not getattr(client, "_tollway_wrapped", False):
        keyed: Sdks = sdk
        kind: Sdks = type(client)
        client.__class__ = _wrapped(keyed, kind)
    return client


@functools.cache
def _wrapped(sdk: Sdks, kind: Sdks) -> type[Any]:
    # Looked up at each call: the class may be instrumented, or no longer, by then.
    def later(name: str) -> Callable[..., Any]:
        return lambda client, *args, **more: getattr(kind, name)(client, *args, **more)

    inside = {
        "request": _requesting_of(kind)(sdk, later("request")),
        "_tollway_wrapped": True,
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
    }
    if hasattr(kind, _RETRY):
        inside[_RETRY] = _before_retry(later(_RETRY))
    return type(kind.__name__, (kind,), inside)


def _requesting_of(client: type[Any]) -> Callable[[Sdk, Callable[..., Any]], Callable[..., Any]]:
    return _requesting_async if inspect.iscoroutinefunction(client.request) else _requesting


def _requesting(sdk: Sdk, request: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(request)
    def requested(
        client: Sdks, cast_to: Sdks, options: Sdks, *args: object, **more: object
    ) -> Sdks:
        exchange = _opened(sdk, client, options, bool(more.get("stream")))
        if exchange is None:
            result = request(client, cast_to, options, *args, **more)
            _look_at(sdk, client, options, result)
            return result
        while True:
            with exchange:
                return exchange.answered(request(client, cast_to, exchange.options, *args, **more))

    return requested


def _requesting_async(sdk: Sdk, request: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(request)
    async def requested(
        client: Sdks, cast_to: Sdks, options: Sdks, *args: object, **more: object
    ) -> Sdks:
        exchange = _opened(sdk, client, options, bool(more.get("stream")))
        if exchange is None:
            result = await request(client, cast_to, options, *args, **more)
            _look_at(sdk, client, options, result)
            return result
        while True:
            with exchange:
                return exchange.answered(
                    await request(client, cast_to, exchange.options, *args, **more)
                )

    return requested


def _opened(sdk: Sdk, client: Sdks, options: Sdks, stream: bool) -> Exchange | None:
    """Raises `CallBlocked`. None where there is nothing to count, or it is counted already."""
    around = _exchange.get()
    if around is not None and around.options is options:
        # The same request again: a wrapped client in an instrumented process.
        return None
    asked: Asked | None = None
    changed, shown = options, None
    with safely():
        asked = sdk.asked(client, options)
        if asked is not None and stream:
            changed, shown = sdk.changed(client, options)
    if asked is None:
        return None
    found = asked
    exchange = Exchange(sdk, client, options, begin(lambda: found))
    exchange.options, exchange.shown = changed, shown
    return exchange


def _look_at(sdk: Sdk, client: Sdks, options: Sdks, result: Sdks) -> None:
    around = _exchange.get()
    if around is None or around.options is not options:
        with safely():
            sdk.looked_up(client, options, result)


def _before_retry(sleep: Callable[..., Any]) -> Callable[..., Any]:
    """Counts retries; what it wraps is a coroutine function in asynchronous clients."""

    @functools.wraps(sleep)
    def slept(client: Sdks, *args: object, **more: object) -> Sdks:
        exchange = _exchange.get()
        taken = more.get("retries_taken")
        if exchange is not None and isinstance(taken, int):
            exchange.retries = taken + 1
        return sleep(client, *args, **more)

    return slept
