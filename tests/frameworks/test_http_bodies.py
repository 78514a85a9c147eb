"""Bodies that are counted while they pass: cut anywhere, their host sees the same."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tollway.producers.adapters.hosts import provider_at
from tollway.producers.adapters.http_bodies import CountedBody, without_usage_chunk
from tollway.producers.calls import Asked, begin
from tollway.producers.testing import Meter

WORD = b'data: {"id":"c1","model":"gpt-4o","choices":[{"delta":{"content":"a"}}],"usage":null}\n\n'
# Azure's first chunk has no choices either, and is the host's.
FILTERS = b'data: {"id":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}\n\n'
USAGE = (
    b'data: {"id":"c1","model":"gpt-4o","choices":[],'
    b'"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}\n\n'
)
SAID = b'data: {"id":"c1","choices":[{"delta":{"content":"\\"choices\\":[],\\"usage\\":{}"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
# A provider that is cut off in the middle of an event.
REST = b'data: {"id":"c1"'


def body_of() -> CountedBody:
    call = begin(lambda: Asked(framework="openai", model="gpt-4o"))
    return CountedBody(call, "openai", without_usage_chunk)


def test_only_the_chunk_that_is_all_usage_is_hidden() -> None:
    hidden = [each for each in (WORD, FILTERS, USAGE, SAID, DONE) if not without_usage_chunk(each)]
    assert hidden == [USAGE]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    events=st.lists(st.sampled_from([WORD, FILTERS, USAGE, SAID]), max_size=6),
    returns=st.booleans(),
    cuts=st.lists(st.integers(0, 900), max_size=8),
)
def test_wherever_the_blocks_are_cut_the_host_sees_the_same(
    running: Meter, events: list[bytes], returns: bool, cuts: list[int]
) -> None:
    running.outbox.records.clear()
    parts = [*events, DONE, REST]
    if returns:
        parts = [part.replace(b"\n", b"\r\n") for part in parts]
    data = b"".join(parts)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    body = body_of()
    shown = [body.feed(data[a:b]) for a, b in itertools.pairwise(edges)]
    shown.append(body.end())
    assert b"".join(shown) == b"".join(part for part in parts if b'"prompt_tokens"' not in part)
    (event,) = running.events()
    told = USAGE in events
    assert (event.input_tokens, event.usage_missing) == (7 if told else 0, not told)


def test_a_body_that_is_let_go_of_after_its_last_word_is_not_aborted(running: Meter) -> None:
    body = body_of()
    body.feed(WORD + DONE)
    body.let_go()
    (event,) = running.events()
    assert (event.status, event.usage_missing) == ("ok", True)


def test_a_body_counts_once_whatever_comes_after(running: Meter) -> None:
    body = body_of()
    body.feed(WORD)
    body.let_go()
    body.fail(ConnectionError())
    body.end()
    (event,) = running.events()
    assert event.status == "aborted"


@pytest.mark.parametrize(
    ("host", "port", "provider"),
    [
        ("api.openai.com", None, "openai"),
        ("eu.api.openai.com", None, "openai"),
        ("api.x.ai", None, "x-ai"),
        ("api.perplexity.ai", None, "perplexity"),
        ("api.fireworks.ai", None, "fireworks"),
        ("mine.openai.azure.com", None, "azure"),
        ("bedrock-runtime.us-east-1.amazonaws.com", None, "aws"),
        ("us-east5-aiplatform.googleapis.com", None, "google"),
        ("localhost", 11434, "ollama"),
        ("localhost", 8000, ""),
        ("notapi.openai.com.example", None, ""),
    ],
)
def test_a_provider_is_known_by_its_address(host: str, port: int | None, provider: str) -> None:
    assert provider_at(host, port) == provider
