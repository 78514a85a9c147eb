"""Prices of models of one's own, in dollars for a million tokens; they hold for all sessions."""

from collections.abc import Mapping

from tollway.compat.amounts import exact_pico
from tollway.producers.amounts import usd
from tollway.producers.local.prices import prices

__all__ = ["register_model", "register_models"]


def register_model(
    model: str, input_price_per_million: float, output_price_per_million: float
) -> None:
    """Raises `ValueError` for a price that is none."""
    prices.set_price(
        model,
        input_per_million=usd(exact_pico(input_price_per_million)),
        output_per_million=usd(exact_pico(output_price_per_million)),
    )


def register_models(models: Mapping[str, tuple[float, float]]) -> None:
    """By name: the price of input, and of output."""
    for model, (input_price, output_price) in models.items():
        register_model(model, input_price, output_price)
