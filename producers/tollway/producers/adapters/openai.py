"""Metering for OpenAI's SDK, and for whoever is asked through it: see `hosts`.

Run with openai 2.54 and 3.57. Counted: chat completions, responses, completions, embeddings,
images, audio and finished batches. Not counted: realtime sessions (they are no requests),
assistants, videos.
"""

import copy
import threading
from typing import Any, Final, TypeVar

from tollway.producers import process
from tollway.producers.adapters.attaching import Detach
from tollway.producers.adapters.http_bodies import Shown, without_usage_chunk
from tollway.producers.adapters.stainless import attach_to, wrap_client
from tollway.producers.adapters.stainless_reading import (
    Sdks,
    body_of,
    path_of,
    provider_of,
    remember,
)
from tollway.producers.calls import Asked, Call
from tollway.producers.responses import usage_of

__all__ = ["attach", "wrap"]

Client = TypeVar("Client")

_CHAT: Final = "/chat/completions"
_RESPONSES: Final = "/responses"
_BATCHES: Final = "/batches/"
_METERED: Final = frozenset(
    {
        _CHAT,
        _RESPONSES,
        "/responses/compact",
        "/completions",
        "/embeddings",
        "/images/generations",
        "/images/edits",
        "/images/variations",
        "/audio/transcriptions",
        "/audio/translations",
        "/audio/speech",
    }
)
_BY_CLASS: Final = {
    "AzureOpenAI": "azure",
    "AsyncAzureOpenAI": "azure",
    "BedrockOpenAI": "aws",
    "AsyncBedrockOpenAI": "aws",
}
# Where a request speaks of usage in a stream, and what a server that does not know it names.
_ASKING: Final = "stream_options"
# A response that is worked on in the background.
_UNFINISHED: Final = frozenset({"queued", "in_progress"})


def attach() -> Detach:
    """Every client of the SDK in this process."""
    import openai

    return attach_to(_openai, (openai.OpenAI, openai.AsyncOpenAI))


def wrap(client: Client) -> Client:
    """Meters this client alone: ``client = wrap(OpenAI())``; and what `with_options` makes."""
    wrapped: Client = wrap_client(_openai, client)
    return wrapped


class _OpenAI:
    """See `stainless.Sdk`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Addresses that refuse to be asked for the usage of a stream.
        self._refusing: dict[str, None] = {}
        # Responses that are worked on, by id, and batches that were counted.
        self._working: dict[str, Call] = {}
        self._counted: dict[str, None] = {}

    def asked(self, client: Sdks, options: Sdks) -> Asked | None:
        path = path_of(options)
        if path not in _METERED or options.method.lower() != "post":
            return None
        body = body_of(options)
        model = body.get("model")
        named = model if isinstance(model, str) else ""
        return Asked(
            framework="openai",
            provider=provider_of(client, _BY_CLASS),
            model=named,
            prompt=_prompt(body),
            # Whoever answers at an address of its own speaks OpenAI's dialect.
            found={"provider": "openai", "requested_model": named},
        )

    def changed(self, client: Sdks, options: Sdks) -> tuple[Sdks, Shown | None]:
        """A stream of chat completions says its usage only where it was asked to."""
        if path_of(options) != _CHAT or str(client.base_url) in self._refusing:
            return options, None
        body = body_of(options)
        asking = body.get(_ASKING)
        if isinstance(asking, dict) and "include_usage" in asking:
            return options, None
        given = asking if isinstance(asking, dict) else {}
        changed = copy.copy(options)
        changed.json_data = {**options.json_data, _ASKING: {**given, "include_usage": True}}
        return changed, without_usage_chunk

    def refuses(self, client: Sdks, error: BaseException) -> bool:
        if getattr(error, "status_code", None) not in {400, 422} or _ASKING not in str(error):
            return False
        with self._lock:
            remember(self._refusing, str(client.base_url), None)
        return True

    def keeps(self, call: Call, result: Sdks) -> bool:
        # Not by getattr: what a model lacks costs it a microsecond to deny.
        if getattr(result, "__dict__", {}).get("status") not in _UNFINISHED:
            return False
        with self._lock:
            remember(self._working, str(result.id), call)
        return True

    def looked_up(self, client: Sdks, options: Sdks, result: Sdks) -> None:
        if options.method.lower() != "get":
            return
        path = path_of(options)
        if path.startswith(_RESPONSES + "/"):
            self._finish(path.removeprefix(_RESPONSES + "/"), result)
        elif path.startswith(_BATCHES) and "/" not in path.removeprefix(_BATCHES):
            self._count_batch(client, result)

    def _finish(self, response_id: str, response: Sdks) -> None:
        if getattr(response, "status", None) in {None, *_UNFINISHED}:
            return
        with self._lock:
            call = self._working.pop(response_id, None)
        if call is not None:
            call.answered(response)

    def _count_batch(self, client: Sdks, batch: Sdks) -> None:
        if getattr(batch, "status", None) != "completed":
            return
        with self._lock:
            if batch.id in self._counted:
                return
            remember(self._counted, batch.id, None)
        usage = usage_of(batch, provider=provider_of(client, _BY_CLASS) or "openai")
        process.booked({"kind": "llm", "tags": {"framework": "openai"}, **usage.fields()})


_openai: Final = _OpenAI()


def _prompt(body: dict[str, Any]) -> object:
    for name in ("messages", "input", "prompt"):
        prompt = body.get(name)
        if prompt is not None:
            # The same words after another response are another prompt.
            before = body.get("previous_response_id") or body.get("conversation")
            return prompt if before is None else [before, prompt]
    return None
