"""Streams as they come: event by event, cut anywhere, and let go of before their end."""

import json
from collections.abc import Callable, Iterable

import pytest

from recorded_responses import (
    Recorded,
    blocks_of,
    counts_of,
    events_of,
    eventstream_message,
    recorded_responses,
    why_no_responses,
)
from tollway.producers.responses import Reader, ResponseUsage, usage_of

STREAMS = [recorded for recorded in recorded_responses() if recorded.is_stream]
EACH_STREAM = pytest.mark.parametrize(
    "recorded",
    [pytest.param(recorded, id=recorded.file) for recorded in STREAMS]
    or [pytest.param(None, marks=pytest.mark.skip(reason=str(why_no_responses())))],
)
# Several streams in one file, one after the other: each said its usage at its own end.
JOINED = {
    "anthropic/vercel__anthropic-tool-search-regex_1_chunks.chunks.txt",
    "anthropic/vercel__anthropic-tool-search-deferred-bm25_chunks.chunks.txt",
}
# Its first line lacks a brace: nothing of it can be read, and it is marked.
CUT_BY_HAND = "openai/vercel__parallel-tool-call-wrapper_1_chunks.chunks.txt"
# One of each framing, small enough to be cut at every byte.
AT_EVERY_BYTE = (
    "aws_bedrock/invoke_stream__stream_tools__claude-3-5-sonnet__f34ad.eventstream.bin",
    "anthropic/messages__stream__claude-sonnet-4-6__07c80.sse.txt",
    "google_vertex/stream_generate_content__stream_reasoning__gemini-2.5-flash__f49e9.ndjson.txt",
    "ollama/chat__stream__llama3__71aaa.ndjson.txt",
    "mistral/vercel__mistral-text_chunks.chunks.txt",
)


def fed(chunks: Iterable[object], recorded: Recorded) -> ResponseUsage:
    reader = Reader(provider=recorded.provider, api=recorded.api)
    for chunk in chunks:
        reader.feed(chunk)
    return reader.usage()


@EACH_STREAM
def test_a_stream_read_event_by_event_used_what_it_used_as_a_whole(recorded: Recorded) -> None:
    whole = usage_of(recorded.body(), provider=recorded.provider, api=recorded.api)
    if recorded.file != CUT_BY_HAND:
        assert fed(events_of(recorded.body()), recorded) == whole
    assert fed(blocks_of(recorded.body()), recorded) == whole


@EACH_STREAM
def test_lines_without_their_ends_are_a_stream_too(recorded: Recorded) -> None:
    body = recorded.body()
    if body[:1] in (b"\0", b"["):
        pytest.skip(f"no stream of lines: {recorded.content_type or 'binary'}")
    whole = usage_of(body, provider=recorded.provider, api=recorded.api)
    assert fed(body.splitlines(), recorded) == whole
    assert fed(body.decode().splitlines(), recorded) == whole


@EACH_STREAM
def test_a_stream_cut_after_any_event_is_marked_unless_its_usage_had_come(
    recorded: Recorded,
) -> None:
    assert_honest_all_along(blocks_of(recorded.body()), recorded)


def assert_honest_all_along(blocks: Iterable[bytes], recorded: Recorded) -> None:
    """At each block's end: what a reader says of a stream that is cut there."""
    whole = usage_of(recorded.body(), provider=recorded.provider, api=recorded.api)
    reader = Reader(provider=recorded.provider, api=recorded.api)
    assert reader.usage().usage_missing
    for at, block in enumerate(blocks):
        reader.feed(block)
        assert_honest(reader.usage(), whole, recorded, at)
    assert reader.usage() == whole


def assert_honest(cut: ResponseUsage, whole: ResponseUsage, recorded: Recorded, at: int) -> None:
    """Marked, or as much as the whole; and never more than the whole."""
    if recorded.file in JOINED:
        assert cut.usage_missing or counts_of(cut)[0] > 0, at
        return
    if not cut.usage_missing:
        assert counts_of(cut) == counts_of(whole), at
        assert counts_of(cut)[0] > 0, at
    pairs = zip(counts_of(cut), counts_of(whole), strict=True)
    assert all(part <= all_of_it for part, all_of_it in pairs), at


@pytest.mark.parametrize("name", AT_EVERY_BYTE)
def test_a_stream_cut_after_any_byte_is_marked_unless_its_usage_had_come(name: str) -> None:
    found = [recorded for recorded in STREAMS if recorded.file == name]
    if not found:
        pytest.skip(str(why_no_responses()))
    body = found[0].body()
    assert not usage_of(body).usage_missing
    assert_honest_all_along((body[at : at + 1] for at in range(len(body))), found[0])


def test_what_a_prompt_used_is_known_before_the_answer_is() -> None:
    reader = Reader()
    reader.feed(
        {
            "type": "message_start",
            "message": {
                "id": "msg_1",
                "model": "claude-sonnet-4-5",
                "usage": {"input_tokens": 9, "cache_read_input_tokens": 91, "output_tokens": 1},
            },
        }
    )
    usage = reader.usage()
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (100, 91, 1)
    assert usage.usage_missing


def test_running_totals_replace_each_other() -> None:
    reader = Reader()
    start = {"id": "msg_1", "usage": {"input_tokens": 9, "output_tokens": 1}}
    reader.feed({"type": "message_start", "message": start})
    reader.feed({"type": "message_delta", "usage": {"output_tokens": 20}})
    reader.feed({"type": "message_delta", "usage": {"input_tokens": 30, "output_tokens": 40}})
    usage = reader.usage()
    assert (usage.input_tokens, usage.output_tokens, usage.usage_missing) == (30, 40, False)


def test_running_totals_of_a_chat_are_a_lower_bound_until_it_ends() -> None:
    reader = Reader()
    reader.feed(chunk("a", None, {"prompt_tokens": 10, "completion_tokens": 1}))
    assert reader.usage().usage_missing
    assert reader.usage().output_tokens == 1
    reader.feed(chunk("b", "stop", {"prompt_tokens": 10, "completion_tokens": 2}))
    assert not reader.usage().usage_missing
    assert reader.usage().output_tokens == 2


def chunk(text: str, reason: str | None, usage: dict[str, int] | None) -> dict[str, object]:
    return {
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}],
        "usage": usage,
    }


def test_groq_tells_a_streams_usage_at_a_place_of_its_own() -> None:
    usage = usage_of(
        [
            chunk("a", None, None),
            {
                "id": "chatcmpl-1",
                "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
                "x_groq": {"usage": {"prompt_tokens": 5, "completion_tokens": 7}},
            },
        ]
    )
    assert (usage.provider, usage.input_tokens, usage.output_tokens) == ("groq", 5, 7)
    assert not usage.usage_missing


def test_an_error_in_the_middle_of_a_stream_leaves_its_usage_unknown() -> None:
    usage = usage_of([chunk("a", None, None), {"error": {"message": "overloaded"}}])
    assert (usage.status, usage.usage_missing) == ("error", True)


CONVERSE = (
    ("messageStart", {"role": "assistant"}),
    ("contentBlockStart", {"start": {"toolUse": {"name": "f"}}, "contentBlockIndex": 0}),
    ("messageStop", {"stopReason": "tool_use"}),
    (
        "metadata",
        {
            "usage": {"inputTokens": 5, "outputTokens": 7, "cacheReadInputTokens": 95},
            "metrics": {"latencyMs": 1},
        },
    ),
)


def as_boto3_has_it() -> list[object]:
    return [{kind: event} for kind, event in CONVERSE]


def as_the_wire_has_it() -> list[object]:
    return [
        eventstream_message(json.dumps(event).encode(), event_type=kind, message_type="event")
        for kind, event in CONVERSE
    ]


@pytest.mark.parametrize("make", [as_boto3_has_it, as_the_wire_has_it])
def test_a_converse_stream_says_its_usage_at_the_end(make: Callable[[], list[object]]) -> None:
    events = make()
    cut, whole = usage_of(events[:-1]), usage_of(events)
    assert (cut.usage_missing, cut.provider, cut.tool_calls) == (True, "aws", 1)
    assert (whole.input_tokens, whole.cache_read_tokens, whole.output_tokens) == (100, 95, 7)
    assert not whole.usage_missing


def test_a_failure_in_a_binary_stream_is_an_error() -> None:
    message = eventstream_message(
        b'{"originalStatusCode": 424}',
        exception_type="modelStreamErrorException",
        message_type="exception",
    )
    usage = usage_of(message)
    assert (usage.status, usage.usage_missing) == ("error", False)


def test_bytes_that_are_damaged_end_a_binary_stream() -> None:
    events = as_the_wire_has_it()
    first, last = events[0], events[-1]
    assert isinstance(first, bytes)
    assert isinstance(last, bytes)
    usage = usage_of([first, b"\x00\x00\x00\x00" + last[4:]])
    assert usage.usage_missing


def test_events_that_boto3_gives_as_bytes_are_read() -> None:
    event = {"message": {"usage": {"input_tokens": 3, "output_tokens": 1}}, "type": "message_start"}
    delta = {"type": "message_delta", "usage": {"output_tokens": 4}}
    usage = usage_of({"chunk": {"bytes": json.dumps(part).encode()}} for part in (event, delta))
    assert (usage.input_tokens, usage.output_tokens, usage.usage_missing) == (3, 4, False)


def test_an_iterator_that_fails_leaves_what_was_read_by_then() -> None:
    def broken() -> Iterable[object]:
        yield chunk("a", None, {"prompt_tokens": 10, "completion_tokens": 1})
        raise ConnectionError

    usage = usage_of(broken())
    assert (usage.input_tokens, usage.usage_missing) == (10, True)


@pytest.mark.parametrize("blank", ["\n", ""])
def test_data_printed_over_many_lines_are_one_event(blank: str) -> None:
    last = chunk("a", "stop", {"prompt_tokens": 5, "completion_tokens": 7})
    lines = json.dumps(last, indent=2).splitlines()
    usage = usage_of("".join(f"data: {line}\n" for line in lines) + blank)
    assert (usage.input_tokens, usage.output_tokens, usage.usage_missing) == (5, 7, False)


def test_a_document_beyond_all_measure_is_let_go_of_and_the_next_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tollway.producers.responses.framing.MAX_DOCUMENT_BYTES", 1000)
    reader = Reader()
    for block in [b'data: {"big": "', *[b"A" * 600] * 9, b'"}\n\n']:
        reader.feed(block)
    assert reader.usage().usage_missing
    last = chunk("a", "stop", {"prompt_tokens": 5, "completion_tokens": 7})
    reader.feed(b"data: " + json.dumps(last).encode() + b"\n\n")
    assert reader.usage().input_tokens == 5


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_as_they_like_and_be_cut_within_their_ends(end: str) -> None:
    last = json.dumps(chunk("a", "stop", {"prompt_tokens": 5, "completion_tokens": 7}))
    body = f"event: x{end}data: {last}{end}{end}data: [DONE]{end}{end}".encode()
    usage = usage_of(body[at : at + 1] for at in range(len(body)))
    assert (usage.input_tokens, usage.output_tokens, usage.usage_missing) == (5, 7, False)
