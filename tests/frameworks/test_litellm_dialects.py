"""LiteLLM's other functions and other providers: what each says of its usage is read."""

import asyncio

import pytest

from answering import ReplayServer
from canary import PROMPT
from metered_once import assert_usage
from offline_litellm import MESSAGES, at, litellm
from recordings import recording
from tollway.producers.testing import Meter

pytestmark = pytest.mark.framework("litellm")


def test_anthropics_caches_are_read_from_whole_answers_and_from_streams(
    server: ReplayServer, running: Meter
) -> None:
    written = recording("messages__cachewrite__claude-3-7-sonnet__b7387")
    streamed = recording("messages__stream_cached__claude-sonnet-4-5__1e625")
    server.on("/messages", written.answer(), streamed.answer())
    there = {"api_base": server.url, "api_key": "none"}

    litellm().completion("anthropic/claude-3-7-sonnet-20250219", MESSAGES, **there)
    list(litellm().completion("anthropic/claude-sonnet-4-5", MESSAGES, stream=True, **there))

    first, second = running.events()
    assert_usage(first, written, provider="anthropic")
    assert_usage(second, streamed, provider="anthropic", model="claude-sonnet-4-5")


def test_embeddings_are_counted(server: ReplayServer, running: Meter) -> None:
    embedded = recording("embeddings__plain__text-embedding-ada-002__34f12")
    server.on("/embeddings", embedded.answer())

    litellm().embedding("text-embedding-ada-002", [PROMPT], **at(server))
    asyncio.run(litellm().aembedding(model="text-embedding-ada-002", input=[PROMPT], **at(server)))

    first, second = running.events()
    assert_usage(first, embedded, provider="openai")
    assert_usage(second, embedded, provider="openai")


def test_responses_are_counted_whole_and_streamed(server: ReplayServer, running: Meter) -> None:
    plain = recording("responses__plain__gpt-4o-mini__5ad30")
    streamed = recording("responses__stream__gpt-4o-mini__c0ec6")
    server.on("/responses", plain.answer(), plain.answer(), streamed.answer())

    litellm().responses(input=PROMPT, model="gpt-4o-mini", **at(server))
    asyncio.run(litellm().aresponses(input=PROMPT, model="gpt-4o-mini", **at(server)))
    list(litellm().responses(input=PROMPT, model="gpt-4o-mini", stream=True, **at(server)))

    first, second, third = running.events()
    assert_usage(first, plain, provider="openai")
    assert_usage(second, plain, provider="openai")
    assert_usage(third, streamed, provider="openai")


def test_responses_of_a_provider_without_them_are_one_call(
    server: ReplayServer, running: Meter
) -> None:
    written = recording("messages__cachewrite__claude-3-7-sonnet__b7387")
    server.on("/messages", written.answer())

    litellm().responses(
        input=PROMPT,
        model="anthropic/claude-3-7-sonnet-20250219",
        api_base=server.url,
        api_key="none",
    )

    (event,) = running.events()
    assert_usage(event, written, provider="anthropic")


def test_messages_of_anthropic_are_counted(server: ReplayServer, running: Meter) -> None:
    written = recording("messages__cachewrite__claude-3-7-sonnet__b7387")
    server.on("/messages", written.answer())

    asyncio.run(
        litellm().anthropic_messages(
            model="anthropic/claude-3-7-sonnet-20250219",
            messages=MESSAGES,
            max_tokens=600,
            api_base=server.url,
            api_key="none",
        )
    )

    (event,) = running.events()
    assert_usage(event, written, provider="anthropic")


def test_a_stream_of_gemini_is_googles_whatever_litellm_calls_it(
    server: ReplayServer, running: Meter
) -> None:
    streamed = recording("stream_generate_content__stream__gemini-2.0-flash__6a6a5")
    server.on(":streamGenerateContent", streamed.answer())
    there = {"api_base": server.url, "api_key": "none"}

    list(litellm().completion("gemini/gemini-2.0-flash", MESSAGES, stream=True, **there))

    (event,) = running.events()
    assert_usage(event, streamed, provider="google")
