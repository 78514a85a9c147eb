"""What a model of the OpenAI Agents SDK says it used, in its response or in its stream."""

from collections.abc import Iterator
from types import TracebackType
from typing import Final, Protocol, Self

import msgspec

from tollway.producers.adapters.openai_agents_runs import named
from tollway.producers.adapters.stainless_reading import refused
from tollway.producers.calls import Call, safely
from tollway.producers.responses import Reader, ResponseUsage

__all__ = ["ModelStream", "response_usage"]

# Which items of an output the agent has to answer, and which are searches of the provider.
_TOOL_CALLS: Final = frozenset(
    {
        "function_call",
        "custom_tool_call",
        "local_shell_call",
        "shell_call",
        "apply_patch_call",
        "computer_call",
    }
)
_SEARCH: Final = "web_search_call"
# The SDK's id for what comes from another api than OpenAI's responses.
_NO_ID: Final = "__fake_id__"
_LAST_EVENTS: Final = frozenset({"response.completed", "response.failed", "response.incomplete"})


class _InputDetails(Protocol):
    cached_tokens: int


class _OutputDetails(Protocol):
    reasoning_tokens: int


class _Usage(Protocol):
    """`agents.Usage`; inclusive, as ours."""

    input_tokens: int
    output_tokens: int
    input_tokens_details: _InputDetails
    output_tokens_details: _OutputDetails


class _Response(Protocol):
    """`agents.ModelResponse`. It has no model and no service tier."""

    output: list[object]
    usage: _Usage
    response_id: str | None


def response_usage(response: _Response, provider: str, model: str) -> ResponseUsage:
    """A model that is no OpenAI client tells no more than this; where one is, its adapter does."""
    usage = response.usage
    kinds = [_said(item, "type") for item in response.output]
    response_id = _real(response.response_id) or _provider_id(response.output)
    return ResponseUsage(
        id=response_id,
        source=provider if response_id else "",
        provider=provider,
        model=model,
        tool_calls=sum(kind in _TOOL_CALLS for kind in kinds),
        searches=kinds.count(_SEARCH),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.input_tokens_details.cached_tokens or 0,
        cache_write_tokens=getattr(usage.input_tokens_details, "cache_write_tokens", 0) or 0,
        reasoning_tokens=usage.output_tokens_details.reasoning_tokens or 0,
        # The SDK makes zeros of a usage that it was not told.
        usage_missing=not (usage.input_tokens or usage.output_tokens),
    )


class ModelStream:
    """Ends the call of a stream, however that ends; its events are the responses api's."""

    def __init__(self, call: Call, model: object) -> None:
        self._call = call
        self._provider = self._model = self._id = ""
        self._complete = False
        self._reader: Reader | None = None
        with safely():
            self._provider, self._model = named(model)
            self._reader = Reader(provider=self._provider, api="responses")

    def feed(self, event: object) -> None:
        with safely():
            if self._reader is not None:
                self._reader.feed(event)
            if _said(event, "type") in _LAST_EVENTS:
                self._complete = True
                output = _said(_said(event, "response"), "output")
                self._id = _provider_id(output if isinstance(output, list) else [])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with safely():
            usage = self._usage()
            if error is not None and not (self._complete and isinstance(error, GeneratorExit)):
                self._call.failed(error, refused(error) or usage)
            elif usage is not None:
                # Complete, also where the runner lets go of a stream once it has the last event.
                self._call.used(usage)

    def _usage(self) -> ResponseUsage | None:
        if self._reader is None:
            return None
        usage = self._reader.usage()
        response_id = _real(usage.id) or self._id
        # A response that the SDK made up itself names the model as it was asked for, with the way.
        model = "" if usage.id == _NO_ID else usage.model
        return msgspec.structs.replace(
            usage,
            id=response_id,
            source=self._provider if response_id else "",
            provider=self._provider,
            model=model or self._model,
        )


def _provider_id(output: list[object]) -> str:
    """Of chat completions: on the items that the SDK made of them."""
    for told in _provider_data(output):
        if isinstance(told, dict) and (response_id := _real(told.get("response_id"))):
            return response_id
    return ""


def _provider_data(output: list[object]) -> Iterator[object]:
    for item in output:
        yield _said(item, "provider_data")


def _real(response_id: object) -> str:
    return response_id if isinstance(response_id, str) and response_id != _NO_ID else ""


def _said(thing: object, name: str) -> object:
    """An object of the SDK, or the dictionary that a resumed run has in its place."""
    return thing.get(name) if isinstance(thing, dict) else getattr(thing, name, None)
