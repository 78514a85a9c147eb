"""From a price list's decimals to integer rates."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

from tollway.domain.prices.listing import Steps, Units
from tollway.domain.prices.rates import Rates, RateTable

if TYPE_CHECKING:  # pydantic takes a sixth of a second to load, and an agent's process waits
    from tollway.contract.command import PricePerMillion

__all__ = [
    "AUDIO_UNITS",
    "CEILING_UNITS",
    "SEARCH_UNIT",
    "compile_rates",
    "dearest_units",
    "units_of",
]

SEARCH_UNIT = "web_searches_kcount"
AUDIO_UNITS = ("input_audio_mtok", "output_audio_mtok")

# Where the decimal point of a price in dollars goes to make pico-dollars of one counted thing: a
# token of a million, a search or request of a thousand, an hour as it is.
_PER_MILLION = 6
_PER_THOUSAND = 9
_PER_ONE = 12

# Each kind of token: the list's unit, and the kind it costs like where that has no price.
_KINDS: tuple[tuple[str, str, str], ...] = (
    ("input", "input_mtok", ""),
    ("output", "output_mtok", ""),
    ("cache_read", "cache_read_mtok", "input"),
    ("cache_write", "cache_write_mtok", "input"),
    ("cache_write_1h", "cache_write_1h_mtok", "cache_write"),
    ("reasoning", "output_reasoning_mtok", "output"),
    ("input_audio", "input_audio_mtok", "input"),
    ("output_audio", "output_audio_mtok", "output"),
    ("input_image", "input_image_mtok", "input"),
    ("output_image", "output_image_mtok", "output"),
)
_UNIT_OF = {kind: unit for kind, unit, _ in _KINDS}
_CACHED_AUDIO = "cache_audio_read_mtok"
_REQUEST_UNIT = "requests_kcount"
_HOUR_UNITS = ("input_audio_hours", "audio_hours")
_POINT = {_REQUEST_UNIT: _PER_THOUSAND, SEARCH_UNIT: _PER_THOUSAND} | dict.fromkeys(
    _HOUR_UNITS, _PER_ONE
)
_USED = frozenset(
    [unit for _, unit, _ in _KINDS] + [_CACHED_AUDIO, _REQUEST_UNIT, SEARCH_UNIT, *_HOUR_UNITS]
)
# Where a ceiling must have a price, if need be another provider's.
CEILING_UNITS = ("input_mtok", "output_mtok", SEARCH_UNIT, "audio_hours")
# A price in none of these cannot price an event (pages, characters, messages).
_CARRIES_A_PRICE = ("input_mtok", "output_mtok", *_HOUR_UNITS)


def compile_rates(
    units: Units, from_ms: int, to_ms: int, source: str, version: str
) -> Rates | None:
    """Integer rates for these prices; None when they cannot price what an event counts."""
    if not any(unit in units for unit in _CARRIES_A_PRICE):
        return None
    used = {unit: steps for unit, steps in units.items() if unit in _USED}
    scale = 10 ** max(_digits_below_pico(used), 0)
    starts = sorted({start for steps in used.values() for start, _ in steps if start >= 0})
    rates = Rates(from_ms, to_ms, source, version, scale, _table(used, -1, scale))
    for start in starts:
        rates.add_step(start, _table(used, start, scale))
    rates.per_request = _rate(used, _REQUEST_UNIT, -1, scale) or 0
    rates.per_search = _rate(used, SEARCH_UNIT, -1, scale) or 0
    for unit in _HOUR_UNITS:
        rates.per_hour = max(rates.per_hour, _rate(used, unit, -1, scale) or 0)
    rates.lists_input = "input_mtok" in used
    rates.lists_output = "output_mtok" in used
    rates.lists_input_audio, rates.lists_output_audio = (unit in used for unit in AUDIO_UNITS)
    rates.lists_searches = SEARCH_UNIT in used
    return rates


def units_of(price: PricePerMillion) -> dict[str, Steps]:
    """A person's price in the units of the list; what is absent stays absent."""
    prices = {
        "input_mtok": price.input,
        "output_mtok": price.output,
        "cache_read_mtok": price.cache_read,
        "cache_write_mtok": price.cache_write,
        "cache_write_1h_mtok": price.cache_write_1h,
        "output_reasoning_mtok": price.reasoning,
        "input_audio_mtok": price.input_audio,
        "output_audio_mtok": price.output_audio,
        SEARCH_UNIT: price.per_thousand_searches,
        "audio_hours": price.per_hour,
    }
    return {unit: [(-1, usd)] for unit, usd in prices.items() if usd is not None}


def dearest_units(priced: Iterable[Units]) -> dict[str, Steps]:
    """The highest price of each unit in any of `priced`, at any context size."""
    highest: dict[str, Decimal] = {}
    for units in priced:
        for unit, steps in units.items():
            usd = max(price for _, price in steps)
            if unit not in highest or usd > highest[unit]:
                highest[unit] = usd
    # What one model has no price of its own for costs its parent's, which may be another's
    # highest: a ceiling must lie above both.
    for _, unit, parent in _KINDS:
        whole = highest.get(_UNIT_OF[parent]) if parent else None
        if whole is not None:
            highest[unit] = max(highest.get(unit, whole), whole)
    if _CACHED_AUDIO in highest and "input_audio_mtok" in highest:
        highest[_CACHED_AUDIO] = max(highest[_CACHED_AUDIO], highest["input_audio_mtok"])
    return {unit: [(-1, usd)] for unit, usd in highest.items()}


def _table(units: Units, start: int, scale: int) -> RateTable:
    table = RateTable()
    for kind, unit, parent in _KINDS:
        rate = _rate(units, unit, start, scale)
        if rate is None:
            rate = getattr(table, parent) if parent else 0
        setattr(table, kind, rate)
    cached_audio = _rate(units, _CACHED_AUDIO, start, scale)
    if cached_audio is None:
        # A cached token of audio is both; a discount that the list does not name is not given.
        cached_audio = table.input_audio if "input_audio_mtok" in units else table.cache_read
    table.cache_read_audio = cached_audio
    return table


def _rate(units: Units, unit: str, start: int, scale: int) -> int | None:
    steps = units.get(unit)
    if steps is None:
        return None
    usd = steps[0][1]
    for above, price in steps:
        if above <= start:
            usd = price
    return int(usd.scaleb(_POINT.get(unit, _PER_MILLION)) * scale)


def _digits_below_pico(units: Units) -> int:
    digits = 0
    for unit, steps in units.items():
        for _, usd in steps:
            exponent = usd.scaleb(_POINT.get(unit, _PER_MILLION)).normalize().as_tuple().exponent
            assert isinstance(exponent, int), f"{usd} of {unit} is not finite"
            digits = max(digits, -exponent)
    return digits
