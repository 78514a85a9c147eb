"""Reads the price data bundled with genai-prices; imported only when a catalogue is built."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import genai_prices
from genai_prices.data import providers
from genai_prices.types import (
    ClauseAnd,
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    MatchLogic,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from tollway.domain.prices.listing import Condition, ListedModel, Listing, PriceSet, Steps

__all__ = ["VERSION", "bundled_listings"]

VERSION = genai_prices.__version__

_MILLISECOND = timedelta(milliseconds=1)

# Entries without any price that are free by the provider's own word. All other entries without a
# price (no longer listed, part of a subscription) are unpriced.
_FREE_OF_CHARGE = frozenset(
    {
        ("google", "gemma-3"),
        ("google", "gemma-3n"),
        ("google", "gemma-4-26b-a4b-it"),
        ("google", "gemma-4-31b-it"),
        ("openai", "moderation"),
    }
)
# Google names one price for input of all kinds where it names none for audio. One preview had a
# price for audio, six times that of text, which the list has not.
_ONE_PRICE_FOR_INPUT = "google"
_AUDIO_LEFT_OUT = frozenset({("google", "gemini-2.5-flash-preview")})
# What these put out is audio, so their output's price is its price.
_SPEAKS = re.compile(r"(^|-)tts(-|$)")
# Names that the list covers only by a loose clause.
_MORE_NAMES: dict[tuple[str, str], tuple[str, ...]] = {
    ("openai", "moderation"): ("omni-moderation", "text-moderation"),
}


def bundled_listings() -> dict[str, Listing]:
    """Every provider's listing by its id, in the list's order."""
    listings: dict[str, Listing] = {}
    for provider in providers:
        match = provider.model_match
        listing = Listing(
            provider.id,
            fallbacks=provider.fallback_model_providers or (),
            makes=match.is_match if match is not None else None,
        )
        for model in provider.models:
            _add(listing, provider, model)
        listings[provider.id] = listing
    return listings


def _add(listing: Listing, provider: Provider, model: ModelInfo) -> None:
    exact = list(_MORE_NAMES.get((provider.id, model.id), ()))
    beginnings: list[str] = []
    patterns: list[str] = []
    for clause in _clauses(model.match):
        match clause:
            case ClauseEquals():
                exact.append(clause.equals)
            case ClauseStartsWith():
                beginnings.append(clause.starts_with)
            case ClauseContains():
                beginnings.append(clause.contains)
            case ClauseEndsWith():
                beginnings.append(clause.ends_with.lstrip("/"))
            case ClauseRegex():
                # Open-ended patterns accept longer names; dates need no pattern here.
                if clause.regex.startswith("^") and clause.regex.endswith("$"):
                    patterns.append(clause.regex)
            case _:
                raise AssertionError(f"{provider.id}/{model.id}: unknown clause {clause!r}")
    if model.is_match(model.id):
        exact.append(model.id)
    listing.add(_listed(provider.id, model), exact, beginnings, patterns)


def _clauses(match: MatchLogic) -> Iterator[MatchLogic]:
    match match:
        case ClauseOr():
            for part in match.or_:
                yield from _clauses(part)
        case ClauseAnd():
            for part in match.and_:
                yield from _clauses(part)
        case _:
            yield match


def _listed(provider: str, model: ModelInfo) -> ListedModel:
    prices = model.prices
    dated = (
        [PriceSet(Condition(), _units(prices))]
        if isinstance(prices, ModelPrice)
        else [PriceSet(_condition(entry.constraint), _units(entry.prices)) for entry in prices]
    )
    variants = [
        PriceSet(_condition(variant.constraint), _units(variant.prices), variant.when)
        for variant in model.price_variants or ()
    ]
    return ListedModel(
        provider,
        model.id,
        dated,
        variants,
        context_window=model.context_window or 0,
        is_free=model.id.endswith(":free") or (provider, model.id) in _FREE_OF_CHARGE,
        bills_audio_as_input=provider == _ONE_PRICE_FOR_INPUT
        and (provider, model.id) not in _AUDIO_LEFT_OUT,
        bills_audio_as_output=_SPEAKS.search(model.id) is not None,
    )


def _units(price: ModelPrice) -> dict[str, Steps]:
    units: dict[str, Steps] = {}
    for unit, value in vars(price).items():
        if isinstance(value, Decimal):
            units[unit] = [(-1, value)]
        elif isinstance(value, TieredPrices):
            steps = sorted((tier.start, tier.price) for tier in value.tiers)
            units[unit] = [(-1, value.base), *steps]
    return units


def _condition(constraint: StartDateConstraint | TimeOfDateConstraint | None) -> Condition:
    match constraint:
        case None:
            return Condition()
        case StartDateConstraint():
            start = datetime.combine(constraint.start_date, time(), UTC)
            return Condition(start_ms=(start - datetime(1970, 1, 1, tzinfo=UTC)) // _MILLISECOND)
        case TimeOfDateConstraint():
            return Condition(
                day_from_ms=_ms_of_day(constraint.start_time),
                day_to_ms=_ms_of_day(constraint.end_time),
            )


def _ms_of_day(moment: time) -> int:
    of_day = datetime.combine(datetime(1970, 1, 1), moment, moment.tzinfo or UTC).astimezone(UTC)
    midnight = of_day.replace(hour=0, minute=0, second=0, microsecond=0)
    return (of_day - midnight) // _MILLISECOND
