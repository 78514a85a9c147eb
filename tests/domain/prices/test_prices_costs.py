"""What one event costs by given rates: facts as literals."""

import msgspec
import pytest

from tollway.contract.usage import UsageEvent
from tollway.domain.prices import Catalogue, Rates, RateTable, clamp, is_inconsistent
from tollway.domain.usage import Usage

AT_MS = 1_764_547_200_000  # 2025-12-01
LATER_MS = 1_795_305_600_000  # 2026-11-22
MICRO_USD = 1_000_000


def event(seconds: float = 0.0, **counts: int) -> UsageEvent:
    given = {"id": "e", "time": "2025-12-01T00:00:00Z", "workspace": "w", "agent": "a"}
    return msgspec.convert({**given, "seconds": seconds, **counts}, UsageEvent)


def rates_of(catalogue: Catalogue, provider: str, model: str, tier: str | None = None) -> Rates:
    rates = catalogue.rates(provider, model, tier, AT_MS)
    assert rates is not None, f"{provider}/{model} has no price"
    return rates


@pytest.mark.parametrize(
    ("provider", "model", "counts", "micro_usd"),
    [
        # Anthropic's published prices of Sonnet 4.5: 3, 15, 0.30, 3.75 and 6 dollars a million.
        ("anthropic", "claude-sonnet-4-5", {"input_tokens": 1000, "output_tokens": 100}, 4_500),
        (
            "anthropic",
            "claude-sonnet-4-5",
            {"input_tokens": 100_000, "cache_read_tokens": 100_000},
            30_000,
        ),
        (
            "anthropic",
            "claude-sonnet-4-5",
            {"input_tokens": 100_000, "cache_write_tokens": 100_000},
            375_000,
        ),
        (
            "anthropic",
            "claude-sonnet-4-5",
            {
                "input_tokens": 100_000,
                "cache_write_tokens": 100_000,
                "cache_write_1h_tokens": 100_000,
            },
            600_000,
        ),
        (
            "anthropic",
            "claude-sonnet-4-5",
            {
                "input_tokens": 100_000,
                "cache_read_tokens": 50_000,
                "cache_write_tokens": 30_000,
                "cache_write_1h_tokens": 10_000,
                "output_tokens": 2_000,
                "reasoning_tokens": 1_500,
            },
            # 20,000 at 3, 50,000 at 0.30, 20,000 at 3.75, 10,000 at 6, 2,000 at 15.
            60_000 + 15_000 + 75_000 + 60_000 + 30_000,
        ),
        # Ten dollars for a thousand searches.
        ("anthropic", "claude-sonnet-4-5", {"searches": 3}, 30_000),
        # OpenAI's GPT-4o: 2.50, 1.25 cached, 10; a million of which 0.9 are cached is $1.375.
        (
            "openai",
            "gpt-4o",
            {"input_tokens": 1_000_000, "cache_read_tokens": 900_000},
            1_375_000,
        ),
        # Without a price for cache writes they are input.
        (
            "openai",
            "gpt-4o",
            {"input_tokens": 1_000_000, "cache_write_tokens": 1_000_000},
            2_500_000,
        ),
        # Reasoning is output.
        ("openai", "o3", {"output_tokens": 1_000_000, "reasoning_tokens": 900_000}, 8_000_000),
        ("openai", "gpt-4.1-nano", {"input_tokens": 1000, "output_tokens": 1000}, 500),
        # Gemini 2.5 Flash: text 0.30, audio 1.00.
        (
            "google",
            "gemini-2.5-flash",
            {"input_tokens": 1_000_000, "input_audio_tokens": 1_000_000},
            1_000_000,
        ),
        # gpt-audio: text 2.50 and 10, audio 32 and 64.
        (
            "openai",
            "gpt-audio",
            {
                "input_tokens": 1000,
                "input_audio_tokens": 400,
                "output_tokens": 500,
                "output_audio_tokens": 300,
            },
            1_500 + 12_800 + 2_000 + 19_200,
        ),
        # Perplexity's reasoning has a price of its own, and Sonar one for each request.
        (
            "perplexity",
            "sonar-deep-research",
            {"output_tokens": 1_000_000, "reasoning_tokens": 500_000},
            5_500_000,
        ),
        ("perplexity", "sonar", {"input_tokens": 1000, "output_tokens": 1000}, 14_000),
        # Whisper: 0.36 an hour; Groq's bills ten seconds at least, at 0.111 an hour.
        ("openai", "whisper-1", {"seconds": 1800.0}, 180_000),
        ("groq", "whisper-large-v3", {"seconds": 3600.0}, 111_000),
    ],
)
def test_published_prices(
    catalogue: Catalogue, provider: str, model: str, counts: dict[str, int], micro_usd: int
) -> None:
    rates = rates_of(catalogue, provider, model)
    assert rates.cost_pico(Usage(event(**counts))) == micro_usd * MICRO_USD


def test_a_short_recording_at_groq_is_billed_as_ten_seconds(catalogue: Catalogue) -> None:
    rates = rates_of(catalogue, "groq", "whisper-large-v3")
    # 0.111 dollars an hour for 10 of 3,600 seconds: 308,333,333.33 pico-dollars.
    assert rates.cost_pico(Usage(event(seconds=0.5))) == 308_333_333
    assert rates.cost_pico(Usage(event(seconds=0.0))) == 0


def test_a_long_context_is_a_cliff_for_all_its_tokens(catalogue: Catalogue) -> None:
    rates = rates_of(catalogue, "anthropic", "claude-sonnet-4-5")
    at_the_edge = event(input_tokens=200_000, output_tokens=10)
    beyond = event(input_tokens=200_001, output_tokens=10)
    assert rates.cost_pico(Usage(at_the_edge)) == 600_150_000_000
    assert rates.cost_pico(Usage(beyond)) == 1_200_231_000_000


def test_children_follow_the_long_context_too(catalogue: Catalogue) -> None:
    rates = rates_of(catalogue, "anthropic", "claude-sonnet-4-5")
    cached = event(input_tokens=300_000, cache_read_tokens=300_000)
    assert rates.cost_pico(Usage(cached)) == 300_000 * 600_000


def test_parts_larger_than_their_whole_are_billed_as_the_whole(catalogue: Catalogue) -> None:
    rates = rates_of(catalogue, "perplexity", "sonar-deep-research")
    eleven_of_ten = event(output_tokens=10, reasoning_tokens=11)
    assert is_inconsistent(Usage(eleven_of_ten))
    assert clamp(eleven_of_ten).reasoning_tokens == 10
    assert rates.cost_pico(Usage(eleven_of_ten)) == 10 * 3_000_000


def test_consistent_counts_are_left_alone() -> None:
    consistent = event(input_tokens=10, cache_read_tokens=10, output_tokens=5, reasoning_tokens=5)
    assert not is_inconsistent(Usage(consistent))
    assert clamp(consistent) is consistent


def test_cached_images_are_not_billed_as_images_as_well() -> None:
    table = RateTable()
    table.input, table.input_image, table.cache_read = 1, 100, 10
    rates = Rates(0, 1, "test", "1", 1, table)
    cost = rates.cost_pico(Usage(event(input_tokens=10, cache_read_tokens=9, input_image_tokens=8)))
    assert cost == 9 * 10 + 1 * 100


def test_a_rate_finer_than_a_pico_dollar_is_rounded_once_half_to_even() -> None:
    table = RateTable()
    table.input = 5  # half a pico-dollar
    rates = Rates(0, 1, "test", "1", 10, table)
    assert [rates.cost_pico(Usage(event(input_tokens=n))) for n in (1, 2, 3, 4, 5)] == [
        0,
        1,
        2,
        2,
        2,
    ]


def test_openrouters_endless_thirds_are_kept_until_the_end(catalogue: Catalogue) -> None:
    rates = catalogue.rates("openrouter", "google/gemini-2.5-flash", None, LATER_MS)
    assert rates is not None
    # 0.0833333333333333 dollars a million for writing to the cache.
    written = event(input_tokens=1_000_000, cache_write_tokens=1_000_000)
    assert rates.cost_pico(Usage(written)) == 83_333_333_333


def test_a_unit_that_the_list_has_no_price_for_is_not_covered(catalogue: Catalogue) -> None:
    whisper = rates_of(catalogue, "openai", "whisper-1")
    embedding = rates_of(catalogue, "openai", "text-embedding-3-small")
    chat = rates_of(catalogue, "openai", "gpt-4o")
    groq = rates_of(catalogue, "groq", "llama-3.3-70b-versatile")
    assert whisper.covers(Usage(event(seconds=3.0)))
    assert not whisper.covers(Usage(event(input_tokens=3)))
    assert embedding.covers(Usage(event(input_tokens=3)))
    assert not embedding.covers(Usage(event(output_tokens=3)))
    assert chat.covers(Usage(event(input_tokens=3, output_tokens=3, seconds=1.0, searches=1)))
    assert not chat.covers(Usage(event(seconds=1.0)))
    assert not groq.covers(Usage(event(input_tokens=3, searches=1)))
