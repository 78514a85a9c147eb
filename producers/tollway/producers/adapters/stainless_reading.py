"""What can be read of the requests and results of the SDKs of OpenAI and Anthropic."""

from typing import Any, Final, TypeVar

from tollway.producers.adapters.hosts import provider_at
from tollway.producers.calls import Usage

__all__ = [
    "MAX_KEPT",
    "Sdks",
    "body_of",
    "is_model",
    "open_response",
    "path_of",
    "provider_of",
    "refused",
    "remember",
    "said",
    "tells_nothing",
]

# How many calls that go on elsewhere, and finished ones that were counted, are remembered.
MAX_KEPT: Final = 1000
_FIRST_ERROR: Final = 400
# An object of an SDK that we read a few attributes of: it has no types where this is checked.
Sdks = Any


def is_model(result: Sdks) -> bool:
    """Whether it is a parsed answer, which is asked for nothing it does not have: that is slow."""
    return hasattr(type(result), "__pydantic_fields__")


def open_response(result: Sdks) -> Sdks:
    """The HTTP response of a stream or of a raw result, while its body is still to come.

    Not to be asked of a parsed answer, nor is `said`: see `is_model`.
    """
    held: Sdks
    for held in (result, getattr(result, "http_response", None), getattr(result, "response", None)):
        # The SDK's own responses have some of a response's attributes, but not this.
        if hasattr(held, "is_stream_consumed"):
            return None if held.is_closed or held.is_stream_consumed else held
    return None


def said(result: Sdks) -> object:
    """What can be read of a result: itself, or the body that a raw one holds."""
    response = getattr(result, "http_response", None) or getattr(result, "response", None)
    if hasattr(result, "is_stream_consumed"):
        response = result
    content = getattr(response, "content", None)
    if not isinstance(content, bytes):
        return result
    return None if tells_nothing(response) else content


def tells_nothing(response: Sdks) -> bool:
    """Sound and pictures say nothing of their usage."""
    kind: str = response.headers.get("content-type", "")
    return kind.startswith(("audio/", "image/", "video/"))


def refused(error: BaseException) -> Usage | None:
    """What an error answer of the provider used: nothing. None where nobody knows.

    An answer that the SDK cannot make sense of is an exception with a status as well: 200.
    """
    status = getattr(error, "status_code", None)
    return Usage() if isinstance(status, int) and status >= _FIRST_ERROR else None


def body_of(options: Sdks) -> dict[str, Any]:
    """What the request says, with what the host added as `extra_body`."""
    body = options.json_data
    if not isinstance(body, dict):
        return {}
    extra = getattr(options, "extra_json", None)
    return {**body, **extra} if isinstance(extra, dict) and extra else body


def provider_of(client: Sdks, by_class: dict[str, str]) -> str:
    """By the client's class, else by where it asks; "" where neither tells."""
    for kind in type(client).__mro__:
        named = by_class.get(kind.__name__)
        if named is not None:
            return named
    url = client.base_url
    return provider_at(url.host, url.port)


def path_of(options: Sdks) -> str:
    """What is asked for, without its query."""
    url: str = options.url
    return url.partition("?")[0]


Kept = TypeVar("Kept")


def remember(kept: dict[str, Kept], key: str, value: Kept) -> None:
    """Keeps at most `MAX_KEPT`: the oldest leaves."""
    if len(kept) >= MAX_KEPT:
        kept.pop(next(iter(kept)))
    kept[key] = value
