"""Prices in the agent's process: the bundled list, and what the host said of its own models."""

import threading
import time
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from tollway.domain.usage import Usage

if TYPE_CHECKING:  # loaded at the first price: it takes a third of a second
    from tollway.domain.prices import PriceBook, Rates

__all__ = ["LocalPrices", "Priced", "prices"]

# Prices of one's own hold for all sessions of the process.
_WORKSPACE: Final = "local"
MAX_RATES: Final = 4096
_SINCE: Final = "2000-01-01T00:00:00Z"


class Priced:
    """What one event costs in pico-dollars; None where nothing has a price for it."""

    __slots__ = ("context_window", "pico")

    def __init__(self, pico: int | None, context_window: int) -> None:
        self.pico = pico
        self.context_window = context_window


class LocalPrices:
    """The same rates that the worker has, looked up once for each model."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._book: PriceBook | None = None
        self._rates: dict[tuple[str, str, str], Rates] = {}

    def book(self) -> "PriceBook":
        book = self._book
        if book is None:
            with self._lock:
                if self._book is None:
                    from tollway.domain.prices import Catalogue, PriceBook

                    self._book = PriceBook(Catalogue.bundled())
                book = self._book
        return book

    def price(self, usage: Usage) -> Priced:
        """The price at this moment."""
        if usage.kind not in {"llm", "tool"} or (usage.kind == "tool" and not usage.model):
            return Priced(0, 0)
        rates = self._rates_of(usage)
        window = self._window(usage.provider, usage.model)
        if rates is None or not rates.covers(usage):
            return Priced(None, window)
        return Priced(rates.cost_pico(usage), window)

    def _rates_of(self, usage: Usage) -> "Rates | None":
        now_ms = time.time_ns() // 1_000_000
        key = (usage.provider, usage.model, usage.service_tier)
        rates = self._rates.get(key)
        if rates is not None and rates.valid_from_ms <= now_ms < rates.valid_to_ms:
            return rates
        found = self.book().rates_for(
            _WORKSPACE, usage.provider or None, usage.model, usage.service_tier or None, now_ms
        )
        if found is not None:
            if len(self._rates) >= MAX_RATES:
                self._rates.clear()
            self._rates[key] = found
        return found

    def _window(self, provider: str, model: str) -> int:
        return _window_of(self.book(), provider, model)

    def ceiling(self, usage: Usage) -> int | None:
        """What an event without a price costs at most, at its provider's dearest rates."""
        rates = self.book().catalogue.dearest(usage.provider or None, time.time_ns() // 1_000_000)
        return None if rates is None else rates.cost_pico(usage)

    def set_price(
        self,
        model: str,
        *,
        provider: str | None = None,
        input_per_million: Decimal,
        output_per_million: Decimal,
        cache_read_per_million: Decimal | None = None,
        cache_write_per_million: Decimal | None = None,
        input_audio_per_million: Decimal | None = None,
        output_audio_per_million: Decimal | None = None,
    ) -> None:
        """A price of the host's own, in dollars for a million tokens. Raises `ValueError`."""
        from tollway.contract.command import PriceOverride

        price = {
            "input": input_per_million,
            "output": output_per_million,
            "cache_read": cache_read_per_million,
            "cache_write": cache_write_per_million,
            "input_audio": input_audio_per_million,
            "output_audio": output_audio_per_million,
        }
        override = PriceOverride.model_validate(
            {
                "provider": provider,
                "model": model,
                "effective_from": _SINCE,
                "price": {name: value for name, value in price.items() if value is not None},
            }
        )
        if not self.book().set_override(_WORKSPACE, override):
            raise ValueError("too many prices of one's own; see MAX_PRICES_PER_WORKSPACE")
        self._rates.clear()


@lru_cache(maxsize=MAX_RATES)
def _window_of(book: "PriceBook", provider: str, model: str) -> int:
    return book.catalogue.context_window(provider or None, model)


# One for the process: loading a list twice would be a third of a second for nothing.
prices: Final = LocalPrices()
