"""Laws of reading: nothing raises, nothing is negative, and how bytes are cut does not matter."""

import json
from collections.abc import Callable, Iterable
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from recorded_responses import eventstream_message
from tollway.contract.usage import UsageEvent
from tollway.producers.responses import Reader, ResponseUsage, usage_of

# Enough of the providers' words that what is drawn gets into their dialects.
NAMES = st.sampled_from(
    [
        "choices",
        "usage",
        "object",
        "type",
        "id",
        "model",
        "error",
        "message",
        "delta",
        "finish_reason",
        "content",
        "response",
        "output",
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
        "cached_tokens",
        "reasoning_tokens",
        "audio_tokens",
        "input_tokens",
        "output_tokens",
        "input_tokens_details",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation",
        "iterations",
        "server_tool_use",
        "web_search_requests",
        "candidates",
        "usageMetadata",
        "usage_metadata",
        "promptTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
        "promptTokensDetails",
        "modality",
        "tokenCount",
        "finishReason",
        "groundingMetadata",
        "webSearchQueries",
        "stopReason",
        "metadata",
        "contentBlockStart",
        "inputTokens",
        "outputTokens",
        "cacheReadInputTokens",
        "cacheDetails",
        "done",
        "prompt_eval_count",
        "eval_count",
        "meta",
        "billed_units",
        "search_units",
        "chunk",
        "bytes",
        "custom_id",
        "result",
        "body",
        "x_groq",
        "tool_calls",
        "function",
        "name",
        "seconds",
        "duration",
        "predictions",
        "embeddings",
        "statistics",
        "token_count",
        "tool_usage",
        "image_gen",
        "inputTextTokenCount",
        "results",
        "generation",
        "ResponseMetadata",
        "HTTPHeaders",
        "service_tier",
        "interaction",
        "amazon-bedrock-invocationMetrics",
        "event_type",
        "tool_usage",
        "web_search",
        "num_requests",
    ]
)
WORDS = st.sampled_from(
    [
        "message",
        "message_start",
        "message_delta",
        "content_block_start",
        "response",
        "response.completed",
        "list",
        "response.output_item.done",
        "interaction.complete",
        "interaction",
        "batch",
        "completed",
        "message-end",
        "stream-end",
        "chat.completion.chunk",
        "compaction",
        "stop",
        "IMAGE",
        "AUDIO",
        "function_call",
        "tool_use",
        "error",
        "web_search_call",
        "transcript.text.done",
        "ping",
        "fast",
        "auto",
        "1h",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 1000)
    | st.floats()
    | WORDS
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)
BODIES = st.dictionaries(NAMES, VALUES, min_size=1, max_size=5)


def assert_fits_an_event(usage: ResponseUsage) -> None:
    moment = {"id": "1", "time": "2026-11-18T00:00:00Z", "workspace": "a", "agent": "b"}
    fields = {name: value for name, value in usage.fields().items() if value != ""}
    msgspec.convert({**moment, **fields}, UsageEvent)


@given(BODIES)
def test_whatever_a_provider_sends_is_read_without_an_error(body: dict[str, object]) -> None:
    assert_fits_an_event(usage_of(body))


@given(st.lists(BODIES, max_size=3))
def test_whatever_a_stream_sends_is_read_without_an_error(chunks: list[object]) -> None:
    assert_fits_an_event(usage_of(iter(chunks)))


@given(BODIES, st.sampled_from(["messages", "responses", "chat_completions", "converse", "x"]))
def test_no_name_of_a_dialect_makes_a_body_raise(body: dict[str, object], api: str) -> None:
    assert_fits_an_event(usage_of(body, api=api))


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_whatever_bytes_come_are_read_without_an_error(body: bytes | str) -> None:
    assert_fits_an_event(usage_of(body))


@given(BODIES)
def test_a_body_says_the_same_as_bytes_and_as_a_dictionary(body: dict[str, object]) -> None:
    text = json.dumps(body)
    try:
        told = msgspec.json.decode(text)
    except msgspec.DecodeError:
        # NaN and integers beyond all measure are no JSON.
        return
    assert usage_of(text) == usage_of(told)


Frame = Callable[[list[dict[str, object]], str], bytes]
TEXTS = st.text(max_size=12) | st.sampled_from(
    ['"}]', "data: {", "\\", "\n\ndata:", "\u2028", "}{"]
)


def chat_events(texts: list[str]) -> list[dict[str, object]]:
    pieces: list[dict[str, object]] = [
        {"id": "chatcmpl-1", "model": "gpt-5", "choices": [{"delta": {"content": text}}]}
        for text in texts
    ]
    usage = {"prompt_tokens": 7, "completion_tokens": 9}
    return [
        *pieces,
        {"id": "chatcmpl-1", "choices": [{"delta": {}, "finish_reason": "stop"}]},
        {"id": "chatcmpl-1", "choices": [], "usage": usage},
    ]


def as_events(events: list[dict[str, object]], end: str) -> bytes:
    lines = [
        f"event: chunk{end}data: {json.dumps(event, ensure_ascii=False)}{end}{end}"
        for event in events
    ]
    return (f": hello{end}{end}" + "".join(lines) + f"data: [DONE]{end}{end}").encode()


def as_lines(events: list[dict[str, object]], end: str) -> bytes:
    return end.join(json.dumps(event, ensure_ascii=False) for event in events).encode()


def as_array(events: list[dict[str, object]], end: str) -> bytes:
    return json.dumps(events, indent=2).replace("\n", end).encode()


def as_messages(events: list[dict[str, object]], end: str) -> bytes:
    return b"".join(eventstream_message(json.dumps(event).encode()) for event in events)


def cut(body: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[begin:end] for begin, end in pairwise(edges)]


@given(
    st.lists(TEXTS, max_size=4),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([as_events, as_lines, as_array, as_messages]),
    st.lists(st.integers(0, 5000), max_size=8),
)
def test_a_stream_cut_anywhere_says_the_same(
    texts: list[str], end: str, frame: Frame, places: list[int]
) -> None:
    reader = Reader()
    for block in cut(frame(chat_events(texts), end), places):
        reader.feed(block)
    usage = reader.usage()
    assert (usage.id, usage.model) == ("chatcmpl-1", "gpt-5" if texts else "")
    assert (usage.input_tokens, usage.output_tokens) == (7, 9)
    assert not usage.usage_missing


@given(st.lists(TEXTS, max_size=3), st.lists(st.integers(0, 5000), max_size=8))
def test_one_body_cut_anywhere_says_the_same(texts: list[str], places: list[int]) -> None:
    message = {"role": "assistant", "content": "".join(texts)}
    body = {
        "id": "chatcmpl-1",
        "choices": [{"message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 9},
    }
    reader = Reader()
    for block in cut(json.dumps(body, indent=1).encode(), places):
        reader.feed(block)
    assert reader.usage() == usage_of(body)
    assert reader.usage().output_tokens == 9


@given(st.lists(TEXTS, max_size=4), st.integers(0, 20))
def test_a_stream_let_go_of_is_marked_until_its_usage_came(texts: list[str], size: int) -> None:
    events = chat_events(texts)
    usage = usage_of(events[:size])
    assert usage.usage_missing is (size < len(events))
