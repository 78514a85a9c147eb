"""Dated prices, service tiers, ceilings; and agreement with genai-prices, model by model."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal

import genai_prices
import msgspec
import pytest
from genai_prices.data import providers
from genai_prices.types import ClauseEquals, ClauseOr, MatchLogic, ModelInfo, Provider
from hypothesis import given
from hypothesis import strategies as st

from tollway.contract.usage import UsageEvent
from tollway.domain.prices import BEGINNING_MS, END_MS, Catalogue
from tollway.domain.usage import Usage


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


O3_CUT_MS = ms("2025-06-10T00:00:00+00:00")
LATER_MS = ms("2026-11-22T12:00:00+00:00")


def test_o3_got_cheaper_on_the_tenth_of_june_2025(catalogue: Catalogue) -> None:
    before = catalogue.rates("openai", "o3", None, O3_CUT_MS - 1)
    after = catalogue.rates("openai", "o3", None, O3_CUT_MS)
    assert before is not None
    assert after is not None
    assert (before.base.input, before.base.output) == (10_000_000, 40_000_000)
    assert (after.base.input, after.base.output) == (2_000_000, 8_000_000)
    assert (before.valid_from_ms, before.valid_to_ms) == (BEGINNING_MS, O3_CUT_MS)
    assert (after.valid_from_ms, after.valid_to_ms) == (O3_CUT_MS, END_MS)


def test_deepseek_was_cheaper_at_night(catalogue: Catalogue) -> None:
    night = catalogue.rates("deepseek", "deepseek-chat", None, ms("2025-03-02T20:00:00+00:00"))
    day = catalogue.rates("deepseek", "deepseek-chat", None, ms("2025-03-03T00:30:00+00:00"))
    assert night is not None
    assert day is not None
    assert (night.base.input, day.base.input) == (135_000, 270_000)
    assert night.valid_from_ms == ms("2025-03-02T16:30:00+00:00")
    assert night.valid_to_ms == day.valid_from_ms == ms("2025-03-03T00:30:00+00:00")
    assert day.valid_to_ms == ms("2025-03-03T16:30:00+00:00")


def test_each_price_names_its_list_its_version_and_its_entry(catalogue: Catalogue) -> None:
    rates = catalogue.rates("azure_openai", "gpt-4o-2024-08-06", None, LATER_MS)
    assert rates is not None
    assert rates.source == "genai-prices"
    assert rates.version == f"{genai_prices.__version__} openai/gpt-4o"


@pytest.mark.parametrize(
    ("provider", "model", "tier", "micro_usd_per_mtok", "entry"),
    [
        ("openai", "gpt-5", None, (1_250_000, 10_000_000), "openai/gpt-5"),
        ("openai", "gpt-5", "default", (1_250_000, 10_000_000), "openai/gpt-5"),
        ("openai", "gpt-5", "auto", (1_250_000, 10_000_000), "openai/gpt-5"),
        ("openai", "gpt-5", "standard", (1_250_000, 10_000_000), "openai/gpt-5"),
        ("openai", "gpt-5", "flex", (625_000, 5_000_000), "openai/gpt-5 flex"),
        ("openai", "gpt-5", "batch", (625_000, 5_000_000), "openai/gpt-5 batch"),
        ("openai", "gpt-5", "priority", (2_500_000, 20_000_000), "openai/gpt-5 priority"),
        (
            "anthropic",
            "claude-sonnet-4-5",
            "batch",
            (1_500_000, 7_500_000),
            "anthropic/claude-sonnet-4-5 batch",
        ),
        # No rates of its own: the standard ones, and the entry says so.
        (
            "anthropic",
            "claude-sonnet-4-5",
            "priority",
            (3_000_000, 15_000_000),
            "anthropic/claude-sonnet-4-5 priority=standard",
        ),
        ("openai", "gpt-4o", "flex", (2_500_000, 10_000_000), "openai/gpt-4o flex=standard"),
        ("openai", "gpt-5", "scale", (1_250_000, 10_000_000), "openai/gpt-5 scale=standard"),
        # Azure sells OpenAI's models, not its tiers.
        ("azure", "gpt-5", "flex", (1_250_000, 10_000_000), "openai/gpt-5 flex=standard"),
    ],
)
def test_a_service_tier_has_its_own_rates_or_the_standard_ones(
    catalogue: Catalogue,
    provider: str,
    model: str,
    tier: str | None,
    micro_usd_per_mtok: tuple[int, int],
    entry: str,
) -> None:
    rates = catalogue.rates(provider, model, tier, LATER_MS)
    assert rates is not None
    # Micro-dollars for a million tokens are pico-dollars for one.
    assert (rates.base.input, rates.base.output) == micro_usd_per_mtok
    assert rates.version.split(" ", 1)[1] == entry


def test_a_tier_is_priced_from_the_day_its_rates_begin(catalogue: Catalogue) -> None:
    start = ms("2026-10-12T00:00:00+00:00")
    before = catalogue.rates("openai", "gpt-5", "flex", start - 1)
    after = catalogue.rates("openai", "gpt-5", "flex", start)
    assert before is not None
    assert after is not None
    assert (before.base.input, after.base.input) == (1_250_000, 625_000)
    assert before.valid_to_ms == after.valid_from_ms == start


def test_a_ceiling_lies_above_every_price_of_its_provider(catalogue: Catalogue) -> None:
    asked = UsageEvent(
        id="e",
        time="2026-11-22T12:00:00Z",
        workspace="w",
        agent="a",
        input_tokens=300_000,
        output_tokens=5_000,
        cache_read_tokens=100_000,
        cache_write_tokens=90_000,
        cache_write_1h_tokens=40_000,
        reasoning_tokens=2_000,
        input_audio_tokens=1_000,
        searches=2,
    )
    for provider in providers:
        ceiling = catalogue.dearest(provider.id, LATER_MS)
        assert ceiling is not None
        assert ceiling.covers(Usage(asked))
        assert ceiling.valid_from_ms <= LATER_MS < ceiling.valid_to_ms
        most = ceiling.cost_pico(Usage(asked))
        for model in provider.models:
            for tier in (None, "batch", "flex", "priority", "fast"):
                rates = catalogue.rates(provider.id, model.id, tier, LATER_MS)
                assert rates is None or rates.cost_pico(Usage(asked)) <= most, (model.id, tier)


def test_the_dearest_of_an_unknown_provider_is_the_dearest_of_all(catalogue: Catalogue) -> None:
    of_all = catalogue.dearest(None, LATER_MS)
    assert of_all is not None
    # o1-pro: 150 and 600 dollars a million.
    assert (of_all.base.input, of_all.base.output) == (150_000_000, 600_000_000)
    assert catalogue.dearest("nonesuch", LATER_MS) is of_all
    assert catalogue.dearest("openai", LATER_MS) is not of_all


def test_a_ceiling_follows_the_calendar(catalogue: Catalogue) -> None:
    start = ms("2025-06-10T00:00:00+00:00")
    before = catalogue.dearest("openai", start - 1)
    after = catalogue.dearest("openai", start)
    assert before is not None
    assert after is not None
    assert before.valid_to_ms <= start <= after.valid_from_ms


def test_importing_prices_does_not_load_the_list() -> None:
    code = (
        "import sys, tollway.domain.prices as prices;"
        "assert 'genai_prices' not in sys.modules and 'pydantic' not in sys.modules;"
        "prices.Catalogue.bundled(); assert 'genai_prices' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def listed_models() -> Iterator[tuple[Provider, ModelInfo]]:
    for provider in providers:
        for model in provider.models:
            yield provider, model


def explicit_names(match: MatchLogic) -> Iterator[str]:
    match match:
        case ClauseEquals():
            yield match.equals
        case ClauseOr():
            for part in match.or_:
                yield from explicit_names(part)


def name_of(catalogue: Catalogue, provider: Provider, model: ModelInfo) -> str:
    """A name by which the very entry is found; ids of Bedrock and fine-tunes are no names."""
    bare = model.id.removeprefix("regional.")
    tuned = (f"{model.id.rstrip('-')}-2024-07-18", f"{model.id}a1b2")
    for name in (model.id, *explicit_names(model.match), bare, f"us.{bare}", *tuned):
        if catalogue.model_id(provider.id, name) == f"{provider.id}/{model.id}":
            return name
    raise AssertionError(f"{provider.id}/{model.id} has no name")


def test_every_name_in_the_list_is_found_as_genai_prices_finds_it(catalogue: Catalogue) -> None:
    names = 0
    for provider, model in listed_models():
        for name in explicit_names(model.match):
            found = provider.find_model(name, all_providers=list(providers))
            assert found is not None
            assert catalogue.model_id(provider.id, name) == f"{provider.id}/{found.id}"
            names += 1
    assert names > 3_000


def reference_pico(
    provider: Provider,
    model: ModelInfo,
    at_ms: int,
    counts: dict[str, int],
    context: dict[str, str] | None,
) -> int:
    price = model.calc_price(
        genai_prices.Usage(**counts),
        provider,
        genai_request_timestamp=datetime.fromtimestamp(at_ms / 1000, UTC),
        price_context=context,
    )
    return int((price.total_price * 10**12).quantize(Decimal(1), ROUND_HALF_EVEN))


CONTEXTS: dict[str, dict[str, str]] = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast", "speed": "fast"},
}
SIZES = (
    {"input_tokens": 1_234, "output_tokens": 567},
    {
        "input_tokens": 543_210,
        "output_tokens": 9_876,
        "cache_read_tokens": 200_001,
        "cache_write_tokens": 123_456,
        "cache_write_1h_tokens": 23_456,
        "output_reasoning_tokens": 4_321,
    },
)
EVENT = {"id": "e", "time": "", "workspace": "w", "agent": "a"}
NAMES = {"output_reasoning_tokens": "reasoning_tokens"}
MOMENTS = ("2024-06-01T02:00:00+00:00", "2025-09-01T08:00:00+00:00", "2026-11-22T12:00:00+00:00")


@pytest.mark.parametrize("tier", [None, "batch", "flex", "priority", "fast"])
def test_every_listed_model_costs_what_genai_prices_says(
    catalogue: Catalogue, tier: str | None
) -> None:
    compared = 0
    context = None if tier is None else CONTEXTS[tier]
    for provider, model in listed_models():
        name = name_of(catalogue, provider, model)
        for at_ms in map(ms, MOMENTS):
            rates = catalogue.rates(provider.id, name, tier, at_ms)
            for counts in SIZES:
                expected = reference_pico(provider, model, at_ms, counts, context)
                if rates is None:
                    assert expected == 0, f"{provider.id}/{model.id} has a price"
                    continue
                ours = {NAMES.get(name, name): count for name, count in counts.items()}
                event = msgspec.convert({**EVENT, **ours}, UsageEvent)
                assert rates.cost_pico(Usage(event)) == expected, f"{rates.version} at {at_ms}"
                compared += 1
    assert compared > 13_000


START_MS, STOP_MS = ms("2024-01-01T00:00:00+00:00"), ms("2027-06-01T00:00:00+00:00")
DATED = [
    (provider.id, model.id)
    for provider, model in listed_models()
    if isinstance(model.prices, list) or model.price_variants
]


@given(
    st.sampled_from(DATED),
    st.sampled_from([None, *CONTEXTS]),
    st.integers(START_MS, STOP_MS),
    st.integers(min_value=0, max_value=2**20),
)
def test_rates_stay_the_same_throughout_their_range(
    catalogue: Catalogue, entry: tuple[str, str], tier: str | None, at_ms: int, later: int
) -> None:
    rates = catalogue.rates(*entry, tier, at_ms)
    if rates is None:
        return
    assert rates.valid_from_ms <= at_ms < rates.valid_to_ms
    within = rates.valid_from_ms + later * 7_919
    if rates.valid_from_ms == BEGINNING_MS:
        within = at_ms - later * 7_919
    within = min(within, rates.valid_to_ms - 1)
    again = catalogue.rates(*entry, tier, within)
    assert again is not None
    assert again.version == rates.version
    assert (again.valid_from_ms, again.valid_to_ms) == (rates.valid_from_ms, rates.valid_to_ms)
    assert (again.base.input, again.base.output) == (rates.base.input, rates.base.output)
