"""Prices: what a model or tool costs at a moment, and what one event therefore costs."""

from tollway.domain.prices.book import MAX_PRICES_PER_WORKSPACE, Estimator, PriceBook
from tollway.domain.prices.catalogue import Catalogue
from tollway.domain.prices.counts import clamp, is_inconsistent
from tollway.domain.prices.rates import BEGINNING_MS, END_MS, Rates, RateTable

__all__ = [
    "BEGINNING_MS",
    "END_MS",
    "MAX_PRICES_PER_WORKSPACE",
    "Catalogue",
    "Estimator",
    "PriceBook",
    "RateTable",
    "Rates",
    "clamp",
    "is_inconsistent",
]
