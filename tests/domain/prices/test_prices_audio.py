"""Audio by the token: billed at a rate of its own, and never in silence as text or as nothing."""

from typing import Any

import msgspec
import pytest

from ledgers import T0, Log, command, event, money
from tollway.contract.command import PriceOverride, PricePerMillion
from tollway.contract.usage import UsageEvent
from tollway.domain.prices import Catalogue, PriceBook, Rates
from tollway.domain.prices.compiling import AUDIO_UNITS
from tollway.domain.prices.genai import bundled_listings
from tollway.domain.usage import Usage

LONG_AGO = "2020-01-01T00:00:00Z"
MILLION = 1_000_000


def _used(seconds: float = 0.0, **counts: int) -> Usage:
    given = {"id": "e", "time": LONG_AGO, "workspace": "w", "agent": "a", "seconds": seconds}
    return Usage(msgspec.convert({**given, **counts}, UsageEvent))


HEARD = _used(input_tokens=MILLION, input_audio_tokens=MILLION)
SPOKEN = _used(output_tokens=MILLION, output_audio_tokens=MILLION)


def _usd(rates: Rates | None, usage: Usage) -> str | None:
    """Dollars of a million tokens; None where they have no price."""
    assert rates is not None
    return f"{rates.cost_pico(usage) / 10**12:g}" if rates.covers(usage) else None


@pytest.mark.parametrize(
    ("provider", "model", "heard", "spoken"),
    [
        ("openai", "gpt-4o-audio-preview", None, None),
        ("azure", "gpt-4o-mini-audio-preview-2024-12-17", None, None),
        ("openai", "gpt-4o", None, None),
        ("openai", "gpt-audio", "32", "64"),
        ("openrouter", "openai/gpt-audio", None, None),
        ("openrouter", "google/gemini-2.5-flash", None, None),
        ("openai", "gpt-4o-transcribe", "6", None),
        ("openai", "gpt-4o-mini-tts", None, "12"),
        ("google", "gemini-2.5-flash", "1", None),
        ("google", "gemini-2.0-flash-lite", "0.075", None),
        ("google", "gemini-2.5-flash-preview", None, None),
        ("google", "gemini-2.5-flash-tts", "0.5", "10"),
        ("google", "gemma-3n", "0", "0"),
    ],
)
def test_audio_costs_what_is_known_of_it(
    catalogue: Catalogue, provider: str, model: str, heard: str | None, spoken: str | None
) -> None:
    rates = catalogue.rates(provider, model, None, T0)
    assert (_usd(rates, HEARD), _usd(rates, SPOKEN)) == (heard, spoken)


def test_text_of_a_model_without_a_rate_for_audio_has_its_price(catalogue: Catalogue) -> None:
    rates = catalogue.rates("openai", "gpt-4o-audio-preview", None, T0)
    assert _usd(rates, _used(input_tokens=MILLION, output_tokens=MILLION)) == "12.5"


def test_audio_billed_by_the_hour_needs_no_rate_for_its_tokens(catalogue: Catalogue) -> None:
    rates = catalogue.rates("mistral", "voxtral-small-24b-2507", None, T0)
    assert _usd(rates, _used(input_tokens=MILLION, input_audio_tokens=9, seconds=3600.0)) == "0.34"
    assert _usd(rates, HEARD) is None


def _rates(book: PriceBook, model: str, provider: str, **price: str) -> Rates | None:
    document = {"model": model, "effective_from": LONG_AGO, "price": price}
    assert book.set_override("w", PriceOverride.model_validate(document))
    return book.rates_for("w", provider, model, None, T0)


@pytest.mark.parametrize(
    ("model", "price", "heard", "spoken"),
    [
        # Negotiated for text: audio stays as listed.
        ("gpt-audio", {"input": "2", "output": "8"}, "32", "64"),
        ("gpt-audio", {"input": "2", "output": "8", "input_audio": "20"}, "20", "64"),
        ("gpt-audio", {"input": "0.0000001", "output": "8"}, "32", "64"),
        ("gpt-4o-audio-preview", {"input": "2", "output": "8"}, None, None),
        ("gpt-4o-audio-preview", {"input": "2", "output": "8", "output_audio": "80"}, None, "80"),
        ("house-model", {"input": "2", "output": "8", "input_audio": "4"}, "4", None),
        # Given away, of whatever kind.
        ("house-model", {"input": "0", "output": "0"}, "0", "0"),
    ],
)
def test_a_price_of_ones_own_says_what_audio_costs_or_the_list_does(
    catalogue: Catalogue, model: str, price: dict[str, str], heard: str | None, spoken: str | None
) -> None:
    rates = _rates(PriceBook(catalogue), model, "openai", **price)
    assert (_usd(rates, HEARD), _usd(rates, SPOKEN)) == (heard, spoken)


def test_a_price_of_ones_own_is_that_of_audio_where_the_list_has_one_for_all_kinds(
    catalogue: Catalogue,
) -> None:
    rates = _rates(PriceBook(catalogue), "gemini-2.0-flash-lite", "google", input="2", output="3")
    assert (_usd(rates, HEARD), _usd(rates, SPOKEN)) == ("2", None)


def test_cached_audio_of_a_price_of_ones_own_costs_what_is_listed(catalogue: Catalogue) -> None:
    rates = _rates(PriceBook(catalogue), "gpt-realtime", "openai", input="2", output="3")
    cached = {"cache_read_tokens": MILLION, "cache_read_audio_tokens": MILLION}
    heard = _used(input_tokens=MILLION, input_audio_tokens=MILLION, **cached)
    assert _usd(rates, heard) == "0.4"


def test_an_estimate_is_of_audio_only_if_it_says_so(catalogue: Catalogue) -> None:
    def guess(_provider: str | None, model: str, _at_ms: int) -> PricePerMillion:
        price = {"input": "2", "output": "3"} | ({"input_audio": "5"} if model == "ear" else {})
        return PricePerMillion.model_validate(price)

    book = PriceBook(catalogue, guess)
    assert _usd(book.rates_for("w", "ollama", "ear", None, T0), HEARD) == "5"
    assert _usd(book.rates_for("w", "ollama", "deaf", None, T0), HEARD) is None


def test_every_listed_price_of_audio_is_a_whole_number_of_pico_dollars() -> None:
    """What an own price takes over from the list is divided without a rest."""
    for listing in bundled_listings().values():
        for model in listing.models:
            for price_set in (*model.prices, *model.variants):
                for unit in (*AUDIO_UNITS, "cache_audio_read_mtok"):
                    for _, usd in price_set.units.get(unit, []):
                        assert usd * MILLION % 1 == 0, (model.model_id, unit)


@pytest.mark.parametrize("provider", [None, "openai", "openrouter", "novita", "voyageai"])
def test_no_audio_costs_more_than_the_ceiling(catalogue: Catalogue, provider: str | None) -> None:
    ceiling = catalogue.dearest(provider, T0)
    assert ceiling is not None
    for usage, dearest in ((HEARD, 32), (SPOKEN, 64)):
        assert ceiling.covers(usage)
        assert ceiling.cost_pico(usage) >= dearest * 10**12


AUDIO: dict[str, Any] = {
    "model": "gpt-4o-audio-preview",
    "provider": "openai",
    "input_tokens": 1000,
}


def test_a_call_with_audio_waits_for_a_price_of_audio(catalogue: Catalogue) -> None:
    log = Log(catalogue).send(event(**AUDIO), event(id="e2", **AUDIO, input_audio_tokens=600))
    assert [charge.price_state for charge in log.charges()] == ["priced", "unpriced"]
    price = {"model": AUDIO["model"], "effective_from": LONG_AGO}
    text = {"input": "2.5", "output": "10"}
    log.tell(command("price.set", price={**price, "price": text}))
    assert len(log.charges()) == 2
    log.tell(command("price.set", price={**price, "price": {**text, "input_audio": "40"}}))
    adjustment = log.charges()[-1]
    assert (adjustment.adjusts, adjustment.cost) == ("e2", "0.025000000000")
    assert log.books.of("pending") == log.books.of("unpriced") == []


@pytest.mark.parametrize(
    ("mode", "state", "least"), [("pending", "unpriced", 0), ("conservative", "conservative", 32)]
)
def test_what_it_is_charged_until_then_is_what_the_policy_says(
    catalogue: Catalogue, mode: str, state: str, least: int
) -> None:
    log = Log(catalogue).tell(command("policy.set", policy={"unpriced": mode}))
    log.send(event(**AUDIO, input_audio_tokens=1000))
    (charge,) = log.charges()
    assert charge.price_state == state
    assert money(charge.cost) >= least * 1000 * MILLION
    assert bool(money(charge.cost)) == bool(least)
    assert log.close().books.counts()["unpriced"] == 1
