"""Metering for Anthropic's SDK, its clients for Bedrock, Vertex and Azure included.

Run with anthropic 2.14. Counted: messages, streamed or not, and the results of batches, each
message once. Counting tokens costs nothing, and is not counted.
"""

import threading
from typing import Final, TypeVar

import msgspec

from tollway.producers import process
from tollway.producers.adapters.attaching import Detach
from tollway.producers.adapters.http_bodies import Shown, pass_through, watch
from tollway.producers.adapters.stainless import attach_to, wrap_client
from tollway.producers.adapters.stainless_reading import (
    Sdks,
    body_of,
    open_response,
    path_of,
    provider_of,
    remember,
)
from tollway.producers.calls import Asked, Call, safely
from tollway.producers.responses import usage_of

__all__ = ["attach", "wrap"]

Client = TypeVar("Client")

_METERED: Final = frozenset({"/v1/messages", "/v1/complete"})
# What the SDK's decoder of lines has asked the response for, before anybody sees the response.
_LINES: Final = "_raw_iterator"
# Which of the SDK's clients asks whom.
_BY_CLASS: Final = {
    "AnthropicBedrock": "aws",
    "AsyncAnthropicBedrock": "aws",
    "AnthropicBedrockMantle": "aws",
    "AsyncAnthropicBedrockMantle": "aws",
    "AnthropicVertex": "google",
    "AsyncAnthropicVertex": "google",
    "AnthropicGoogleCloud": "google",
    "AsyncAnthropicGoogleCloud": "google",
    "AnthropicFoundry": "azure",
    "AsyncAnthropicFoundry": "azure",
}


def attach() -> Detach:
    """Every client of the SDK in this process."""
    import anthropic

    names = ("Anthropic", "AsyncAnthropic", *_BY_CLASS)
    classes = [kind for name in names if (kind := getattr(anthropic, name, None)) is not None]
    # One that is made of another has its `request`.
    return attach_to(_anthropic, [each for each in classes if not {*each.__mro__[1:]} & {*classes}])


def wrap(client: Client) -> Client:
    """Meters this client alone: ``client = wrap(Anthropic())``; and what `with_options` makes."""
    wrapped: Client = wrap_client(_anthropic, client)
    return wrapped


class _Anthropic:
    """See `stainless.Sdk`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Results of batches that were counted: they may be fetched often.
        self._counted: dict[str, None] = {}

    def asked(self, client: Sdks, options: Sdks) -> Asked | None:
        if path_of(options) not in _METERED or options.method.lower() != "post":
            return None
        body = body_of(options)
        model = body.get("model")
        named = model if isinstance(model, str) else ""
        return Asked(
            framework="anthropic",
            provider=_provider(client),
            model=named,
            prompt=body.get("messages") or body.get("prompt"),
            found={"requested_model": named},
        )

    def changed(self, client: Sdks, options: Sdks) -> tuple[Sdks, Shown | None]:
        return options, None

    def refuses(self, client: Sdks, error: BaseException) -> bool:
        return False

    def keeps(self, call: Call, result: Sdks) -> bool:
        return False

    def looked_up(self, client: Sdks, options: Sdks, result: Sdks) -> None:
        path = path_of(options)
        if "/messages/batches/" not in path or not path.endswith("/results"):
            return
        body = _BatchResults(self, _provider(client))
        response = open_response(result)
        if hasattr(result, _LINES):
            setattr(result, _LINES, pass_through(getattr(result, _LINES), body))
        elif response is not None:
            watch(response, body)

    def count_result(self, line: bytes, provider: str) -> None:
        """One line of a batch's results."""
        message = _message_of(line)
        if message is None:
            return
        usage = usage_of(message, provider=provider)
        with self._lock:
            if usage.id in self._counted:
                return
            remember(self._counted, usage.id, None)
        if not usage.service_tier:
            usage = msgspec.structs.replace(usage, service_tier="batch")
        process.booked({"kind": "llm", "tags": {"framework": "anthropic"}, **usage.fields()})


_anthropic: Final = _Anthropic()


class _BatchResults:
    """The results of a batch, a line each; see `http_bodies.Body`."""

    def __init__(self, sdk: _Anthropic, provider: str) -> None:
        self._sdk = sdk
        self._provider = provider
        self._held = b""

    def feed(self, block: bytes) -> bytes:
        *lines, self._held = (self._held + block).split(b"\n")
        for line in lines:
            self._count(line)
        return block

    def end(self) -> bytes:
        self._count(self._held)
        self._held = b""
        return b""

    def let_go(self) -> None:
        """Who reads no further has paid for the rest all the same, and may fetch it again."""

    def fail(self, error: BaseException) -> None:
        """As `let_go`."""

    def _count(self, line: bytes) -> None:
        with safely():
            if line.strip():
                self._sdk.count_result(line, self._provider)


def _message_of(line: bytes) -> object:
    """The message that a line tells of; None for a request that failed, which costs nothing."""
    document = msgspec.json.decode(line)
    result = document.get("result") if isinstance(document, dict) else None
    return result.get("message") if isinstance(result, dict) else None


def _provider(client: Sdks) -> str:
    return provider_of(client, _BY_CLASS) or "anthropic"
