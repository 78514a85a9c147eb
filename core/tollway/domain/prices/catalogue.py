"""The catalogue: price lists of providers, asked for the rates of one model at one moment."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Self

from tollway.domain.prices.compiling import (
    AUDIO_UNITS,
    CEILING_UNITS,
    SEARCH_UNIT,
    compile_rates,
    dearest_units,
)
from tollway.domain.prices.listing import ListedModel, Listing, Steps, Units
from tollway.domain.prices.names import ALIASES, UNLISTED_HOSTS, is_bedrock_name, plain_provider
from tollway.domain.prices.rates import BEGINNING_MS, END_MS, Rates, RateTable

__all__ = ["Catalogue"]

# The context that a service tier makes of a request, in the list's words. A tier not named here
# has no rates of its own anywhere.
_TIER_CONTEXTS: dict[str, Mapping[str, str]] = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    # OpenAI calls it a service tier, Anthropic a speed.
    "fast": {"service_tier": "fast", "speed": "fast"},
}
_STANDARD_TIERS = frozenset({"", "auto", "default", "on_demand", "on-demand", "standard"})

# Groq bills each transcription as ten seconds or more.
_LEAST_MICROS = {
    ("groq", "whisper-large-v3"): 10_000_000,
    ("groq", "whisper-large-v3-turbo"): 10_000_000,
}


class Catalogue:
    """Pure data: the same question has the same answer in every process of this version."""

    def __init__(self, version: str, listings: Mapping[str, Listing], source: str) -> None:
        self.version = version
        self.source = source
        self._listings = listings
        self._ids = {plain_provider(name): name for name in listings}
        for alias, name in ALIASES.items():
            if name in listings:
                self._ids.setdefault(alias, name)
        self._heads = {name: self._heads_of(listing) for name, listing in listings.items()}
        # The last answer for each provider; every provider has one or two in use.
        self._dearest: dict[str, Rates] = {}
        self._search_prices: dict[str, Steps | None] = {}

    @classmethod
    def bundled(cls) -> Self:
        """The list that is bundled with genai-prices."""
        # Imported here because it takes a tenth of a second that an agent's process never needs.
        from tollway.domain.prices.genai import VERSION, bundled_listings

        return cls(VERSION, bundled_listings(), "genai-prices")

    def rates(
        self, provider: str | None, model: str, service_tier: str | None, at_ms: int
    ) -> Rates | None:
        """What the model costs at that moment; None is unpriced, never free."""
        found = self._find(provider, model)
        if found is None:
            return None
        seller, listed = found
        tier = (service_tier or "").strip().lower()
        # A provider that sells another's models does not sell its tiers.
        context: Mapping[str, str] = {}
        if listed.provider == seller:
            context = _TIER_CONTEXTS.get(tier, context)
        prices = listed.in_force(at_ms, context)
        entry = f"{self.version} {listed.provider}/{listed.model_id}"
        if tier not in _STANDARD_TIERS:
            entry += f" {tier}" if prices.has_context else f" {tier}=standard"
        if listed.is_free and not prices.units:
            return _free(self.source, entry)
        units = self._with_searches(listed.provider, prices.units)
        rates = compile_rates(units, prices.from_ms, prices.to_ms, self.source, entry)
        if rates is None or _is_zero(rates):
            return None
        rates.min_micros = _LEAST_MICROS.get((listed.provider, listed.model_id), 0)
        rates.lists_input_audio |= listed.bills_audio_as_input and rates.lists_input
        rates.lists_output_audio |= listed.bills_audio_as_output and rates.lists_output
        return rates

    def dearest(self, provider: str | None, at_ms: int) -> Rates | None:
        """A ceiling: for each kind of token the highest rate of any model of the provider.

        Of all providers where this one has no list, or its list no such unit. Context sizes,
        service tiers and hours of the day all count, so that no event can cost more.
        """
        name = self.provider_id(provider) or ""
        kept = self._dearest.get(name)
        if kept is not None and kept.valid_from_ms <= at_ms < kept.valid_to_ms:
            return kept
        from_ms, to_ms = BEGINNING_MS, END_MS
        priced: list[Units] = []
        for listed in self._models():
            for price_set in (*listed.prices, *listed.variants):
                start = price_set.condition.start_ms
                if start <= at_ms:
                    from_ms = max(from_ms, start)
                else:
                    to_ms = min(to_ms, start)
            priced.extend(_at_any_hour(listed, at_ms))
        units = dearest_units(priced)
        if name:
            sold = self._models(name, *self._listings[name].fallbacks)
            own = [units for listed in sold for units in _at_any_hour(listed, at_ms)]
            units = _ceiling(units, own)
        entry = f"{self.version} dearest of {name or 'all'}"
        rates = compile_rates(units, from_ms, to_ms, self.source, entry)
        if rates is not None:
            rates.min_micros = max(_LEAST_MICROS.values())
            self._dearest[name] = rates
        return rates

    def context_window(self, provider: str | None, model: str) -> int:
        """How many tokens the model takes; 0 where the list does not say."""
        found = self._find(provider, model)
        return 0 if found is None else found[1].context_window

    def provider_id(self, provider: str | None) -> str | None:
        """The list's id of a provider by any of its spellings; None where it has no list."""
        return None if provider is None else self._ids.get(plain_provider(provider))

    def model_id(self, provider: str | None, model: str) -> str | None:
        """``provider/model`` as listed, the same for every name of one model; None: not listed."""
        found = self._find(provider, model)
        return None if found is None else f"{found[1].provider}/{found[1].model_id}"

    def _find(self, provider: str | None, model: str) -> tuple[str, ListedModel] | None:
        """The provider that sells the model, and the model, which may be another's."""
        if not model:
            return None
        seller = self.provider_id(provider)
        if seller is not None:
            return self._find_at(seller, model)
        spelling = plain_provider(provider or "")
        if spelling in {"huggingface", "hugging-face"} and ":" in model:
            # Its router is told where to run a model: deepseek-ai/DeepSeek-R1:novita.
            name, _, host = model.rpartition(":")
            seller = self._ids.get(plain_provider(f"huggingface-{host}"))
            return None if seller is None else self._find_at(seller, name)
        if spelling in UNLISTED_HOSTS:
            return None
        return self._find_by_model(model)

    def _find_by_model(self, model: str) -> tuple[str, ListedModel] | None:
        """Without a provider: the one named before the slash, else the model's maker."""
        if "aws" in self._listings and is_bedrock_name(model):
            return self._find_at("aws", model)
        head, slash, _ = model.partition("/")
        if slash:
            spelling = plain_provider(head)
            if spelling in UNLISTED_HOSTS:
                return None
            if spelling in self._ids:
                return self._find_at(self._ids[spelling], model)
        for name, listing in self._listings.items():
            if listing.makes is not None and listing.makes(model.strip().lower()):
                listed = listing.find(model, self._heads[name])
                if listed is not None:
                    return name, listed
        return None

    def _find_at(self, seller: str, model: str) -> tuple[str, ListedModel] | None:
        for name in (seller, *self._listings[seller].fallbacks):
            if name in self._listings:
                listed = self._listings[name].find(model, self._heads[seller] | self._heads[name])
                if listed is not None:
                    return seller, listed
        return None

    def _heads_of(self, listing: Listing) -> frozenset[str]:
        own = {alias for alias, name in ALIASES.items() if name == listing.name}
        return frozenset(own | {plain_provider(listing.name)})

    def _models(self, *names: str) -> Iterator[ListedModel]:
        for name in names or self._listings:
            if name in self._listings:
                yield from self._listings[name].models

    def _with_searches(self, provider: str, units: Units) -> Units:
        """With the provider's dearest price of a search where the model has none of its own."""
        if SEARCH_UNIT in units:
            return units
        if provider not in self._search_prices:
            dearest = dearest_units(
                {SEARCH_UNIT: price_set.units[SEARCH_UNIT]}
                for listed in self._listings[provider].models
                for price_set in listed.prices
                if SEARCH_UNIT in price_set.units
            )
            self._search_prices[provider] = dearest.get(SEARCH_UNIT)
        steps = self._search_prices[provider]
        return units if steps is None else {**units, SEARCH_UNIT: steps}


def _at_any_hour(listed: ListedModel, at_ms: int) -> Iterator[Units]:
    """Each set of prices that applies to the model at some hour of that day, in any tier."""
    started = [dated for dated in listed.prices if dated.condition.start_ms <= at_ms]
    for dated in reversed(started):
        yield dated.units
        if dated.condition.day_from_ms == dated.condition.day_to_ms:
            break
    for variant in listed.variants:
        if variant.condition.start_ms <= at_ms:
            yield variant.units


def _ceiling(everywhere: Units, own: list[Units]) -> dict[str, Steps]:
    """The highest prices of one provider; of all where it lists no such unit."""
    units = dearest_units(own)
    for unit in CEILING_UNITS:
        if unit in everywhere:
            units.setdefault(unit, everywhere[unit])
    for unit in AUDIO_UNITS:
        if unit in everywhere and not any(unit in priced for priced in own):
            # Its text's highest is a price of text.
            units[unit] = max(units.get(unit, everywhere[unit]), everywhere[unit], key=_usd)
    return units


def _usd(steps: Steps) -> Decimal:
    return steps[0][1]


def _free(source: str, entry: str) -> Rates:
    rates = Rates(BEGINNING_MS, END_MS, source, f"{entry} free", 1, RateTable())
    rates.lists_searches = rates.lists_input_audio = rates.lists_output_audio = True
    return rates


def _is_zero(rates: Rates) -> bool:
    base = rates.base
    return not (base.input or base.output or rates.per_hour or rates.per_request)
