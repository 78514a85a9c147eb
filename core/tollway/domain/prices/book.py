"""The price book: the catalogue, and what workspaces say about their own prices."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from tollway.contract.money import parse_usd
from tollway.domain.prices.catalogue import Catalogue
from tollway.domain.prices.compiling import SEARCH_UNIT, compile_rates, units_of
from tollway.domain.prices.names import name_forms
from tollway.domain.prices.rates import BEGINNING_MS, END_MS, Rates

if TYPE_CHECKING:  # pydantic takes a sixth of a second to load, and an agent's process waits
    from tollway.contract.command import PriceOverride, PricePerMillion, ToolPrice

__all__ = ["MAX_PRICES_PER_WORKSPACE", "Estimator", "PriceBook"]

MAX_PRICES_PER_WORKSPACE = 1000

_DAY_MS = 24 * 60 * 60 * 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Estimator(Protocol):
    """A guess for models that no list has; asked once a UTC day, with that day's beginning.

    It must answer the same for the same arguments for ever: a replay asks again.
    """

    def __call__(self, provider: str | None, model: str, at_ms: int, /) -> PricePerMillion | None:
        """The price of the model that day; None leaves it unpriced."""


class _Override:
    """A workspace's price of a model, with its moments in milliseconds."""

    __slots__ = ("document", "from_ms", "provider", "to_ms")

    def __init__(self, document: PriceOverride, provider: str | None) -> None:
        self.document = document
        self.provider = provider
        self.from_ms = _ms(document.effective_from)
        self.to_ms = END_MS if document.effective_to is None else _ms(document.effective_to)

    @property
    def key(self) -> tuple[str | None, str, int]:
        return self.provider, self.document.model.lower(), self.from_ms


class PriceBook:
    """Prices as commands have set them; `revision` rises with each change that one made."""

    def __init__(
        self,
        catalogue: Catalogue,
        estimator: Estimator | None = None,
        estimator_version: str = "1",
    ) -> None:
        self.catalogue = catalogue
        self.revision = 0
        self._estimator = estimator
        self._estimator_version = estimator_version
        self._overrides: dict[str, list[_Override]] = {}
        self._tool_prices: dict[str, dict[tuple[str, str | None], dict[int, int]]] = {}

    def set_override(self, workspace: str, override: PriceOverride) -> bool:
        """Add a price, or replace the one of the same provider, model and `effective_from`.

        False, and nothing changed, where the workspace has `MAX_PRICES_PER_WORKSPACE` already.
        """
        entry = _Override(override, self._provider_key(override.provider))
        kept = [old for old in self._overrides.get(workspace, ()) if old.key != entry.key]
        if len(kept) >= MAX_PRICES_PER_WORKSPACE:
            return False
        self._overrides[workspace] = [*kept, entry]
        self.revision += 1
        return True

    def delete_override(self, workspace: str, provider: str | None, model: str) -> None:
        """Forget all prices, whatever their dates, that were set for that provider and model."""
        about = (self._provider_key(provider), model.lower())
        entries = self._overrides.get(workspace, [])
        kept = [entry for entry in entries if entry.key[:2] != about]
        if len(kept) != len(entries):
            self._overrides[workspace] = kept
            self.revision += 1

    def set_tool_price(self, workspace: str, price: ToolPrice) -> bool:
        """Add a tool's price, or replace the one of the same `effective_from`.

        False, and nothing changed, where the workspace has `MAX_PRICES_PER_WORKSPACE` already.
        """
        tools = self._tool_prices.setdefault(workspace, {})
        dated = tools.get((price.tool, price.connection), {})
        from_ms = _ms(price.effective_from)
        if from_ms not in dated and sum(map(len, tools.values())) >= MAX_PRICES_PER_WORKSPACE:
            return False
        tools[price.tool, price.connection] = {**dated, from_ms: parse_usd(price.usd_per_call)}
        self.revision += 1
        return True

    def rates_for(
        self,
        workspace: str,
        provider: str | None,
        model: str,
        service_tier: str | None,
        at_ms: int,
    ) -> Rates | None:
        """The workspace's own price, else the catalogue's, else an estimate; None: unpriced.

        What is set later wins: by `effective_from`, then by the order of the commands. A
        workspace's price holds for every service tier.
        """
        listed = self.catalogue.rates(provider, model, service_tier, at_ms)
        from_ms, to_ms = BEGINNING_MS, END_MS
        chosen: _Override | None = None
        for override in self._overrides_about(workspace, provider, model):
            for edge in (override.from_ms, override.to_ms):
                if edge <= at_ms:
                    from_ms = max(from_ms, edge)
                else:
                    to_ms = min(to_ms, edge)
            if override.from_ms <= at_ms < override.to_ms and (
                chosen is None or override.from_ms >= chosen.from_ms
            ):
                chosen = override
        rates = listed
        if chosen is not None:
            rates = _overriding(chosen, provider, listed)
        elif rates is None:
            rates = self._estimate(provider, model, at_ms)
        return None if rates is None else rates.within(from_ms, to_ms)

    def tool_cost(
        self, workspace: str, tool: str, connection: str | None, at_ms: int
    ) -> tuple[int, int, int] | None:
        """Pico-dollars of one call, and from when until when; None: no price has begun.

        A price for the connection wins over one for the tool at any connection.
        """
        tools = self._tool_prices.get(workspace, {})
        from_ms, to_ms = BEGINNING_MS, END_MS
        for key in dict.fromkeys([(tool, connection), (tool, None)]):
            dated = tools.get(key, {})
            to_ms = min([to_ms, *(start for start in dated if start > at_ms)])
            begun = [start for start in dated if start <= at_ms]
            if begun:
                from_ms = max(begun)
                return dated[from_ms], from_ms, to_ms
        return None

    def has_tool_prices(self, workspace: str) -> bool:
        return bool(self._tool_prices.get(workspace))

    def knows(self, workspace: str, provider: str | None, model: str) -> bool:
        """Whether any moment may have a price of the model, as long as `revision` stays."""
        return (
            self._estimator is not None
            or bool(self._overrides.get(workspace))
            or self.catalogue.model_id(provider, model) is not None
        )

    def _overrides_about(
        self, workspace: str, provider: str | None, model: str
    ) -> Iterator[_Override]:
        overrides = self._overrides.get(workspace)
        if not overrides:
            return
        listed = self.catalogue.model_id(provider, model)
        seller = self._provider_key(provider)
        if seller is None and listed is not None:
            seller = listed.partition("/")[0]
        exact = model.strip().lower()
        nothing: frozenset[str] = frozenset()
        unlisted = frozenset(name_forms(model, "", nothing)) if listed is None else nothing
        for override in overrides:
            if override.provider is not None and override.provider != seller:
                continue
            own = override.document.model.strip().lower()
            # An override of gpt-4o is also one of gpt-4o-2024-08-06, which the list calls gpt-4o,
            # but not of gpt-4o-2024-05-13, which it prices apart.
            same = listed is not None and self.catalogue.model_id(provider, own) == listed
            if same or own == exact or own in unlisted:
                yield override

    def _provider_key(self, provider: str | None) -> str | None:
        if provider is None:
            return None
        return self.catalogue.provider_id(provider) or provider.strip().lower()

    def _estimate(self, provider: str | None, model: str, at_ms: int) -> Rates | None:
        if self._estimator is None:
            return None
        day_ms = at_ms - at_ms % _DAY_MS
        price = self._estimator(provider, model, day_ms)
        if price is None:
            return None
        version = f"{self._estimator_version} {provider or '?'}/{model}"
        rates = compile_rates(units_of(price), day_ms, day_ms + _DAY_MS, "estimate", version)
        if rates is not None:
            _price_audio(rates, price, None)
        return rates


def _overriding(override: _Override, provider: str | None, listed: Rates | None) -> Rates | None:
    """A workspace's own price; searches, hours and audio that it leaves out are as listed."""
    document = override.document
    units = units_of(document.price)
    version = (
        f"{document.effective_from.astimezone(UTC).isoformat()}"
        f" {document.provider or provider or '?'}/{document.model}"
    )
    rates = compile_rates(units, BEGINNING_MS, END_MS, "override", version)
    if rates is None:
        return None
    _price_audio(rates, document.price, listed)
    if listed is None:
        return rates
    # Lists price searches and hours in whole pico-dollars, so that these divisions leave no rest.
    if SEARCH_UNIT not in units and listed.lists_searches:
        rates.per_search = listed.per_search * rates.scale // listed.scale
        rates.lists_searches = True
    if "audio_hours" not in units:
        rates.per_hour = listed.per_hour * rates.scale // listed.scale
        rates.min_micros = listed.min_micros
    return rates.within(listed.valid_from_ms, listed.valid_to_ms)


def _price_audio(rates: Rates, price: PricePerMillion, listed: Rates | None) -> None:
    """Audio that a price leaves out: listed, or free with the rest; else it has no price."""
    base = rates.base
    if price.input_audio is None:
        rates.lists_input_audio = price.input == 0
        if listed is not None and listed.lists_input_audio:
            rates.lists_input_audio = True
            if listed.base.input_audio != listed.base.input:
                base.input_audio = listed.base.input_audio * rates.scale // listed.scale
                base.cache_read_audio = listed.base.cache_read_audio * rates.scale // listed.scale
    if price.output_audio is None:
        rates.lists_output_audio = price.output == 0
        if listed is not None and listed.lists_output_audio:
            rates.lists_output_audio = True
            if listed.base.output_audio != listed.base.output:
                base.output_audio = listed.base.output_audio * rates.scale // listed.scale


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND
