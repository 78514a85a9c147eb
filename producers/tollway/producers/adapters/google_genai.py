"""Metering for Google's Gen AI SDK: the Gemini API and Vertex AI, whatever asks through a client.

Run with google-genai 3.6. Counted: generated content, streamed or not (each request of a chat, of
automatic function calling and of a continuation by itself), embeddings and images. Not counted: the
live API (it has a connection of its own), interactions, videos, and batches.
"""

import functools
import inspect
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final, TypeVar

import msgspec

from tollway.producers.adapters.attaching import Detach
from tollway.producers.adapters.counted import Counted
from tollway.producers.adapters.patching import Patches
from tollway.producers.calls import Asked, Call, Usage, begin, safely

__all__ = ["attach", "wrap"]

Client = TypeVar("Client")
# An object of the SDK that we read a few attributes of: it has no types where this is checked.
Sdks = Any

_PROVIDER: Final = "google"
_METERED: Final = frozenset(
    {
        "generateContent",
        "streamGenerateContent",
        "embedContent",
        "batchEmbedContents",
        # Of Vertex: embeddings and images.
        "predict",
    }
)
_FIRST_ERROR: Final = 400
_PROMPTS: Final = ("contents", "content", "requests", "instances")


def attach() -> Detach:
    """Every client of the SDK in this process."""
    from google.genai import _api_client

    patches = Patches()
    for name, wrapper in _WRAPPERS.items():
        patches.wrap(_api_client.BaseApiClient, name, wrapper)
    for name in _ONCE:
        # Private, so it may be gone: then the number of retries is not known.
        if hasattr(_api_client.BaseApiClient, name):
            patches.wrap(_api_client.BaseApiClient, name, _attempting)
    return patches.undo


def wrap(client: Client) -> Client:
    """Meters this client alone: ``client = wrap(genai.Client())``."""
    inner: Sdks = client._api_client  # type: ignore[attr-defined]  # of google.genai.Client
    if not getattr(inner, "_tollway_wrapped", False):
        kind: Sdks = type(inner)
        inner.__class__ = _wrapped(kind)
    return client


@functools.cache
def _wrapped(kind: Sdks) -> type[Any]:
    # Looked up at each call: the class may be instrumented, or no longer, by then.
    def later(name: str) -> Callable[..., Any]:
        return lambda client, *args, **more: getattr(kind, name)(client, *args, **more)

    inside = {name: wrapper(later(name)) for name, wrapper in _WRAPPERS.items()}
    inside |= {name: _attempting(getattr(kind, name)) for name in _ONCE if hasattr(kind, name)}
    return type(kind.__name__, (kind,), {**inside, "_tollway_wrapped": True})


class _Request:
    """One request of a client, with the SDK's retries in it."""

    def __init__(self, content: object, call: Call) -> None:
        self.content = content
        self.call = call
        self.attempts = 0

    def answered(self, response: Sdks) -> None:
        with safely():
            self._note_retries()
            self.call.answered(response.body or {})

    def failed(self, error: BaseException) -> None:
        with safely():
            self._note_retries()
            # An error answer costs nothing.
            code = getattr(error, "code", None)
            refused = isinstance(code, int) and code >= _FIRST_ERROR
            self.call.failed(error, Usage() if refused else None)

    def _note_retries(self) -> None:
        if self.attempts > 1:
            self.call.fields["attempt"] = self.attempts - 1


_request: ContextVar[_Request | None] = ContextVar("tollway_genai_request", default=None)


class _Failing:
    """Around the making of a request: counts it where it fails, and knows what runs in it."""

    def __init__(self, request: _Request) -> None:
        self._request = request
        self._running = request.call.running()

    def __enter__(self) -> _Request:
        self._token = _request.set(self._request)
        self._running.__enter__()
        return self._request

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._running.__exit__(None, None, None)
        _request.reset(self._token)
        if error is not None:
            self._request.failed(error)


def _opened(path: object, content: object) -> _Request | None:
    """Raises `CallBlocked`. None where there is nothing to count, or it is counted already."""
    around = _request.get()
    if around is not None and around.content is content:
        # The same request again: a wrapped client in an instrumented process.
        return None
    asked: Asked | None = None
    with safely():
        asked = _asked(path, content)
    if asked is None:
        return None
    found = asked
    return _Request(content, begin(lambda: found))


def _asked(path: object, content: object) -> Asked | None:
    resource, _, verb = str(path).partition("?")[0].rpartition(":")
    if verb not in _METERED or not isinstance(content, dict):
        return None
    model = resource.rpartition("/")[2]
    return Asked(
        framework="google_genai",
        provider=_PROVIDER,
        model=model,
        prompt=next((content[name] for name in _PROMPTS if content.get(name)), None),
        found={"requested_model": model},
    )


def _requesting(request: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(request)
    def requested(
        client: Sdks,
        http_method: Sdks,
        path: Sdks,
        request_dict: Sdks,
        *args: object,
        **more: object,
    ) -> Sdks:
        opened = _opened(path, request_dict)
        if opened is None:
            return request(client, http_method, path, request_dict, *args, **more)
        with _Failing(opened):
            response = request(client, http_method, path, request_dict, *args, **more)
        opened.answered(response)
        return response

    return requested


def _requesting_async(request: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(request)
    async def requested(
        client: Sdks,
        http_method: Sdks,
        path: Sdks,
        request_dict: Sdks,
        *args: object,
        **more: object,
    ) -> Sdks:
        opened = _opened(path, request_dict)
        if opened is None:
            return await request(client, http_method, path, request_dict, *args, **more)
        with _Failing(opened):
            response = await request(client, http_method, path, request_dict, *args, **more)
        opened.answered(response)
        return response

    return requested


def _streaming(request: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(request)
    def streamed(
        client: Sdks,
        http_method: Sdks,
        path: Sdks,
        request_dict: Sdks,
        *args: object,
        **more: object,
    ) -> Iterator[Sdks]:
        opened = _opened(path, request_dict)
        chunks = request(client, http_method, path, request_dict, *args, **more)
        if opened is None:
            yield from chunks
            return
        with _Failing(opened):
            # The first step makes the request.
            first = next(chunks, None)
        with Counted(opened.call, _PROVIDER) as counted:
            for chunk in () if first is None else itertools.chain((first,), chunks):
                _feed(counted, chunk)
                yield chunk

    return streamed


def _streaming_async(request: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(request)
    async def streamed(
        client: Sdks,
        http_method: Sdks,
        path: Sdks,
        request_dict: Sdks,
        *args: object,
        **more: object,
    ) -> Sdks:
        opened = _opened(path, request_dict)
        if opened is None:
            return await request(client, http_method, path, request_dict, *args, **more)
        with _Failing(opened):
            chunks = await request(client, http_method, path, request_dict, *args, **more)
        return _passed(Counted(opened.call, _PROVIDER), chunks)

    return streamed


async def _passed(counted: Counted, chunks: AsyncIterator[Sdks]) -> AsyncIterator[Sdks]:
    with counted:
        async for chunk in chunks:
            _feed(counted, chunk)
            yield chunk


def _feed(counted: Counted, chunk: Sdks) -> None:
    with safely():
        counted.feed(msgspec.json.decode(chunk.body or "{}"))


def _attempting(once: Callable[..., Any]) -> Callable[..., Any]:
    """Counts attempts. A coroutine function stays one: who tries again looks whether it is."""

    def note() -> None:
        request = _request.get()
        if request is not None:
            request.attempts += 1

    @functools.wraps(once)
    def attempted(*args: object, **more: object) -> Sdks:
        note()
        return once(*args, **more)

    @functools.wraps(once)
    async def attempted_async(*args: object, **more: object) -> Sdks:
        note()
        return await once(*args, **more)

    return attempted_async if inspect.iscoroutinefunction(once) else attempted


_WRAPPERS: Final = {
    "request": _requesting,
    "request_streamed": _streaming,
    "async_request": _requesting_async,
    "async_request_streamed": _streaming_async,
}
_ONCE: Final = ("_request_once", "_async_request_once")
