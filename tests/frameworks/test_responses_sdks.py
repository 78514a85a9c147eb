"""Recorded bodies as the SDKs' own objects say the same as the dictionaries they are made of."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from recorded_responses import Recorded, events_of, recorded_responses, why_no_responses
from tollway.producers.responses import Reader, usage_of

Make = Callable[[Any], Any]

CHAT = {"openai", "azure_openai", "groq", "deepseek", "together", "xai", "openrouter", "mistral"}


def of(apis: set[str], providers: set[str], *, streams: bool) -> list[Any]:
    """The recorded answers of these, by the shape of their bodies where a fixture names no api."""
    found = [
        pytest.param(recorded, id=recorded.file)
        for recorded in recorded_responses()
        if recorded.provider in providers
        and recorded.is_told
        and recorded.is_stream is streams
        and (recorded.api in apis or (recorded.api == "fixture" and _looks_like(recorded, apis)))
    ]
    return found or [pytest.param(None, marks=pytest.mark.skip(reason=str(why_no_responses())))]


def _looks_like(recorded: Recorded, apis: set[str]) -> bool:
    body = recorded.body()
    first: dict[str, Any] = events_of(body)[0] if recorded.is_stream else json.loads(body)
    if "responses" in apis:
        return first.get("object") == "response" or str(first.get("type")).startswith("response.")
    if "chat_completions" in apis:
        return str(first.get("object")).startswith("chat.completion")
    return "type" in first if "messages" in apis else "candidates" in first


def assert_same(make: Make, body: Any) -> None:  # noqa: ANN401 (a provider's document)
    expected = usage_of(body)
    assert not expected.usage_missing
    assert usage_of(make(body)) == expected


def assert_same_stream(make: Make, events: list[Any]) -> None:
    reader = Reader()
    for event in events:
        reader.feed(make(event))
    assert reader.usage() == usage_of(events)
    assert not reader.usage().usage_missing


@pytest.mark.parametrize("recorded", of({"chat_completions"}, CHAT, streams=False))
def test_openais_completions(recorded: Recorded) -> None:
    from openai.types.chat import ChatCompletion

    assert_same(lambda body: ChatCompletion.construct(**body), json.loads(recorded.body()))


@pytest.mark.parametrize("recorded", of({"chat_completions"}, CHAT, streams=True))
def test_openais_chunks(recorded: Recorded) -> None:
    from openai.types.chat import ChatCompletionChunk

    assert_same_stream(
        lambda event: ChatCompletionChunk.construct(**event), events_of(recorded.body())
    )


@pytest.mark.parametrize("recorded", of({"responses"}, CHAT, streams=False))
def test_openais_responses(recorded: Recorded) -> None:
    from openai.types.responses import Response

    assert_same(lambda body: Response.construct(**body), json.loads(recorded.body()))


@pytest.mark.parametrize("recorded", of({"responses"}, CHAT, streams=True))
def test_openais_events(recorded: Recorded) -> None:
    from openai._models import construct_type
    from openai.types.responses import ResponseStreamEvent

    assert_same_stream(
        lambda event: construct_type(value=event, type_=ResponseStreamEvent),
        events_of(recorded.body()),
    )


@pytest.mark.parametrize("recorded", of({"embeddings"}, {"openai", "azure_openai"}, streams=False))
def test_openais_embeddings(recorded: Recorded) -> None:
    from openai.types import CreateEmbeddingResponse

    assert_same(lambda body: CreateEmbeddingResponse.construct(**body), json.loads(recorded.body()))


@pytest.mark.parametrize("recorded", of({"messages"}, {"anthropic"}, streams=False))
def test_anthropics_messages(recorded: Recorded) -> None:
    from anthropic.types import Message
    from anthropic.types.beta import BetaMessage

    body = json.loads(recorded.body())
    assert_same(lambda body: Message.construct(**body), body)
    assert_same(lambda body: BetaMessage.construct(**body), body)


@pytest.mark.parametrize("recorded", of({"messages"}, {"anthropic"}, streams=True))
def test_anthropics_events(recorded: Recorded) -> None:
    from anthropic._models import construct_type
    from anthropic.types import RawMessageStreamEvent

    assert_same_stream(
        lambda event: construct_type(value=event, type_=RawMessageStreamEvent),
        events_of(recorded.body()),
    )


GOOGLE = {"google_gemini", "google_vertex"}


def as_google_makes_it(body: Any) -> Any:  # noqa: ANN401 (a provider's document)
    from google.genai.types import GenerateContentResponse

    # It forgets what it does not know, such as the tier, in the very dictionary that it is given.
    return GenerateContentResponse._from_response(response=copy.deepcopy(body), kwargs={})


def without_tier(body: Any) -> Any:  # noqa: ANN401 (a provider's document)
    body["usageMetadata"].pop("serviceTier", None)
    return body


def has_names(recorded: Recorded) -> bool:
    """Two bodies have numbers for modalities, which this SDK does not ask for."""
    return b'"modality": 1' not in recorded.body()


@pytest.mark.parametrize("recorded", of({"generate_content"}, GOOGLE, streams=False))
def test_googles_contents(recorded: Recorded) -> None:
    if not has_names(recorded):
        pytest.skip("recorded with enum-encoding=int, which google-genai does not ask for")
    assert_same(as_google_makes_it, without_tier(json.loads(recorded.body())))


@pytest.mark.parametrize("recorded", of({"stream_generate_content"}, GOOGLE, streams=True))
def test_googles_chunks(recorded: Recorded) -> None:
    if not has_names(recorded):
        pytest.skip("recorded with enum-encoding=int, which google-genai does not ask for")
    events = [without_tier(event) for event in events_of(recorded.body())]
    assert_same_stream(as_google_makes_it, events)
