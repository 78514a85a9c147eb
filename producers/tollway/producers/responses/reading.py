"""Reads responses and streams of any provider."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from tollway.producers.responses.dialects import PROVIDERS, dialect_of
from tollway.producers.responses.fields import Fields, chunks_in, fields_of
from tollway.producers.responses.framing import Documents, decode_json
from tollway.producers.responses.providers import provider_id, provider_of
from tollway.producers.responses.seen import Seen
from tollway.producers.responses.usage import ResponseUsage

__all__ = ["Reader", "usage_of"]

Given = TypeVar("Given")
_LISTS = (list, tuple)
_BYTES = (bytes, bytearray, memoryview)


class Reader:
    """Takes the chunks of one stream, and says at any moment what is known of its usage."""

    __slots__ = ("_api", "_documents", "_seen")

    def __init__(self, *, provider: str | None = None, api: str | None = None) -> None:
        self._seen = Seen(provider_id(provider) if provider else "")
        self._api = api or ""
        self._documents: Documents | None = None

    def feed(self, chunk: object) -> None:
        """A chunk as it comes: an SDK's object, a dictionary, a line or a block of bytes."""
        _guarded(self._feed, chunk)

    def usage(self) -> ResponseUsage:
        """What is known by now; `usage_missing` where the stream has not said its usage."""
        if self._documents is not None:
            _guarded(self._take_all, self._documents.rest())
        return self._seen.said()

    def _feed(self, chunk: object) -> None:
        if type(chunk) is dict:
            self._take(chunk)
        elif isinstance(chunk, str):
            self._frame(chunk.encode("utf-8", "replace"))
        elif isinstance(chunk, _BYTES):
            self._frame(bytes(chunk))
        elif isinstance(chunk, _LISTS):
            self._take_all(chunk)
        else:
            self._take(chunk)

    def _frame(self, block: bytes) -> None:
        if self._documents is None:
            self._documents = Documents()
        self._take_all(self._documents.feed(block))

    def _take_all(self, chunks: Iterable[object]) -> None:
        for chunk in chunks:
            self._feed(chunk)

    def _take(self, chunk: object) -> None:
        body = fields_of(chunk)
        if body is None:
            return
        dialect = dialect_of(body, self._api)
        if dialect is None:
            inner = _wrapped(body, self._seen)
            if inner is None:
                self._take_all(chunks_in(chunk))
            else:
                self._feed(inner)
            return
        seen = self._seen
        dialect(body, seen)
        if not seen.provider:
            seen.provider = PROVIDERS.get(dialect) or provider_of(body, seen)


def usage_of(
    response: object, *, provider: str | None = None, api: str | None = None
) -> ResponseUsage:
    """The usage that a response tells of.

    Takes an SDK's object, a dictionary, bytes or text of a whole body or of a recorded stream, or
    an iterable of chunks. Raises nothing: what nobody can read is `usage_missing`.
    """
    reader = Reader(provider=provider, api=api)
    if isinstance(response, str | bytes):
        whole = decode_json(response.encode() if isinstance(response, str) else response)
        if whole is not None:
            response = whole
    reader.feed(response)
    return reader.usage()


def _wrapped(body: Fields, seen: Seen) -> object:
    """What is inside of a chunk of boto3, or of a line of a batch's results."""
    chunk = fields_of(body.get("chunk"))
    if chunk is not None:
        return chunk.get("bytes")
    if body.get("custom_id") is None:
        return None
    seen.service_tier = "batch"
    response = fields_of(body.get("response"))
    if response is not None:
        return response.get("body")
    result = fields_of(body.get("result"))
    return None if result is None else result.get("message") or result.get("error")


def _guarded(act: Callable[[Given], None], given: Given) -> None:
    """What a host's object or its iterator does when it is read is not for us to raise."""
    try:
        act(given)
    except Exception:  # noqa: BLE001 (metering must never break what it meters)
        return
