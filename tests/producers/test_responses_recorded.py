"""What 244 recorded bodies used, against what their manifest expects and what that costs."""

import msgspec
import pytest

from recorded_responses import Counts, Recorded, counts_of, recorded_responses, why_no_responses
from tollway.contract.usage import UsageEvent
from tollway.domain.prices import Catalogue, PriceBook
from tollway.domain.usage import Usage
from tollway.producers.responses import ResponseUsage, usage_of
from tollway.producers.responses.providers import provider_id

pytestmark = pytest.mark.skipif(why_no_responses() is not None, reason=str(why_no_responses()))

AT_MS = 1_795_000_000_000  # 2026-11-18
ALL = pytest.mark.parametrize(
    "recorded", recorded_responses(), ids=[recorded.file for recorded in recorded_responses()]
)

COHERE_BILLS = "billed_units is what Cohere bills; the manifest has tokens, with its preamble"
HAS_WRITES = "the body tells of tokens written to the cache; the manifest does not read these"
# What we read where the manifest expects something else, and why.
DIFFERENT: dict[str, tuple[Counts, str]] = {
    "cohere/chat__stream__na__564a6.sse.txt": ((62, 28, 0, 0, 0), COHERE_BILLS),
    "cohere/vercel__cohere-max-tokens.json": ((11, 4, 0, 0, 0), COHERE_BILLS),
    "cohere/vercel__cohere-text_chunks.chunks.txt": ((12, 7, 0, 0, 0), COHERE_BILLS),
    "cohere/vercel__cohere-empty-tool-call_chunks.chunks.txt": ((46, 14, 0, 0, 0), COHERE_BILLS),
    "cohere/vercel__cohere-reasoning_chunks.chunks.txt": ((8, 50, 0, 0, 0), COHERE_BILLS),
    "openrouter/chat_completions__cached__claude-4.6-sonnet__348a6.json": (
        (2572, 100, 2240, 329, 0),
        HAS_WRITES,
    ),
    "aws_bedrock/responses__tools__openai.gpt-5.6-luna__4723f.json": (
        (88, 14, 0, 86, 0),
        HAS_WRITES,
    ),
    "aws_bedrock/responses__reasoning__openai.gpt-5.6-luna__54441.json": (
        (142, 33, 0, 27, 11),
        HAS_WRITES,
    ),
    "openai/responses__reasoning__gpt-5.6-sol__3e265.json": ((8576, 52, 0, 4418, 32), HAS_WRITES),
    "google_gemini/interactions__nousage__gemini-2.5-flash__2cab6.json": (
        (9, 220, 0, 0, 207),
        "an interaction tells its usage by names that the manifest does not read",
    ),
}
# Bodies with no usage in the manifest of which none is missing: they are free, or billed otherwise.
COMPLETE_WITHOUT_TOKENS = {
    "openai/responses__nousage__na__7130d.json": "a count of tokens is free",
    "cohere/rerank__nousage__na__2fc08.json": "a ranking is billed by search units",
    "google_gemini/interactions__nousage__gemini-2.5-flash__2cab6.json": "see above",
    "azure_openai/chat_completions__nousage__na__cb815.json": "an error, recorded as 200",
    "openai/vercel__reasoning-model-temperature-error.json": "an error, recorded as 200",
}
# Errors that came with status 200: as a fixture, or in the middle of a stream.
ERRORS_BY_BODY = {
    "azure_openai/chat_completions__nousage__na__cb815.json",
    "openai/vercel__reasoning-model-temperature-error.json",
    "openai/vercel__openai-error_1_chunks.chunks.txt",
    "groq/chat_completions__stream_nousage__gpt-oss-120b__952e7.sse.txt",
    "openrouter/chat_completions__stream_reasoning__minimax-m2_free__baafd.ndjson.txt",
}


def usage_in(recorded: Recorded) -> ResponseUsage:
    return usage_of(recorded.body(), provider=recorded.provider, api=recorded.api)


@ALL
def test_a_recorded_body_used_what_its_manifest_says(recorded: Recorded) -> None:
    counts, _ = DIFFERENT.get(recorded.file, (recorded.expected, ""))
    assert counts_of(usage_in(recorded)) == counts


@ALL
def test_the_body_alone_tells_as_much_as_the_body_with_its_provider(recorded: Recorded) -> None:
    assert counts_of(usage_of(recorded.body())) == counts_of(usage_in(recorded))


@ALL
def test_a_success_that_does_not_say_its_usage_is_marked(recorded: Recorded) -> None:
    missing = recorded.status == 200 and not recorded.is_told
    if recorded.file in COMPLETE_WITHOUT_TOKENS:
        missing = False
    assert usage_in(recorded).usage_missing is missing


@ALL
def test_an_error_is_told_from_an_answer(recorded: Recorded) -> None:
    failed = recorded.status != 200 or recorded.file in ERRORS_BY_BODY
    assert usage_in(recorded).status == ("error" if failed else "ok")


@ALL
def test_a_given_provider_wins(recorded: Recorded) -> None:
    usage = usage_of(recorded.body(), provider="hyperbolic")
    assert (usage.provider, usage.source) == ("hyperbolic", "hyperbolic")


def test_no_recorded_body_is_left_out() -> None:
    assert len(recorded_responses()) == 244


def test_each_difference_is_one() -> None:
    by_file = {recorded.file: recorded for recorded in recorded_responses()}
    same = [name for name, (counts, _) in DIFFERENT.items() if by_file[name].expected == counts]
    assert same == []


# What the manifest does not count and is paid for.
COSTS_MORE = {
    "openai/responses__reasoning__gpt-5.2__08cef.json": "a web search",
    "openai/responses__stream_reasoning__gpt-5.2__22e33.sse.txt": "a web search",
}
# Told, and without a price in the list: open models on hosts that no list covers, and these names.
UNPRICED_MODELS = {
    "alibaba qwen3-max",
    "aws ",  # a converse does not name its model
    "aws claude-2.0",
    "aws openai.gpt-oss-120b",
    "huggingface deepseek-ai/DeepSeek-R1",
    "mistral voxtral-mini-latest",
    "ollama gpt-oss:20b",
    "ollama llama3",
    "ollama qwen3.6:latest",
    "openai gpt-3.5-turbo-instruct:20230824-v2",
    "openai gpt-4o-mini-2024-07-18",  # with audio, which it does not take: a made-up answer
    "openrouter minimax/minimax-m2:free",
    "openrouter x-ai/grok-4",
}


def event(provider: str, model: str, **fields: object) -> UsageEvent:
    return msgspec.convert(
        {
            "id": "call",
            "time": "2026-11-18T00:00:00Z",
            "workspace": "acme",
            "agent": "bot",
            "provider": provider,
            "model": model,
            **fields,
        },
        UsageEvent,
    )


class Prices:
    """Our catalogue, asked for what an event costs."""

    def __init__(self) -> None:
        self._book = PriceBook(Catalogue.bundled())

    def cost(self, event: UsageEvent) -> int | None:
        rates = self._book.rates_for(
            "acme", event.provider, event.model or "", event.service_tier, AT_MS
        )
        usage = Usage(event)
        return None if rates is None or not rates.covers(usage) else rates.cost_pico(usage)


def expected_event(recorded: Recorded, read: ResponseUsage) -> UsageEvent:
    given, made, cached, written, reasoning = recorded.expected
    return event(
        provider_id(recorded.provider),
        read.model or recorded.model or "",
        service_tier=read.service_tier,
        input_tokens=given,
        output_tokens=made,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=reasoning,
    )


def test_what_is_read_costs_what_the_manifest_expects() -> None:
    prices = Prices()
    dearer, unpriced = set(), set()
    for recorded in recorded_responses():
        read = usage_in(recorded)
        if not recorded.is_told or recorded.file in DIFFERENT:
            continue
        named = event(
            provider_id(recorded.provider), read.model or recorded.model or "", **counted(read)
        )
        cost, expected = prices.cost(named), prices.cost(expected_event(recorded, read))
        if cost is None:
            unpriced.add(f"{named.provider} {named.model}")
        elif cost != expected:
            dearer.add(recorded.file)
    assert dearer == set(COSTS_MORE)
    assert unpriced == UNPRICED_MODELS


def counted(read: ResponseUsage) -> dict[str, object]:
    said = read.fields()
    return {name: said[name] for name in said if name not in {"id", "provider", "model", "source"}}
