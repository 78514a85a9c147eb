"""Money: integer pico-dollars in the code, a decimal string with twelve digits on the wire.

List prices per token have at most twelve decimals in dollars, so sums of them are exact in this
unit (measured on genai-prices: all but float artefacts of one reseller).
"""

import re
from typing import Final

__all__ = ["MAX_PICO", "PICO_PER_USD", "MalformedMoney", "format_usd", "parse_usd"]

PICO_PER_USD: Final = 10**12
# Decimal(38, 12) at rest: 26 digits before the point. One amount never needs more than this.
MAX_PICO: Final = 10**15 * PICO_PER_USD

_USD: Final = re.compile(r"\s*(-?)\$?([0-9]{1,15})(?:\.([0-9]{0,12}))?\s*")
_DIGITS: Final = 12
_ZEROS: Final = ["0" * (_DIGITS - length) for length in range(_DIGITS + 1)]


class MalformedMoney(ValueError):
    """A text is not an exact amount of dollars."""


def parse_usd(text: str) -> int:
    """Pico-dollars of a decimal string such as ``"0.0012"`` or ``"$5.00"``.

    Raises `MalformedMoney` for anything that is not exact in pico-dollars: exponents, NaN,
    infinity, more than twelve decimals, amounts of 10¹⁵ dollars and more.
    """
    match = _USD.fullmatch(text)
    if match is None:
        raise MalformedMoney(
            f"{text[:40]!r} is not an amount in dollars; write it as a decimal string with at"
            f' most 12 decimals, such as "0.0012"'
        )
    sign, whole, fraction = match.groups()
    pico = int(whole) * PICO_PER_USD + int((fraction or "").ljust(12, "0"))
    return -pico if sign else pico


def format_usd(pico: int) -> str:
    """The amount as a decimal string in dollars with its twelve decimals."""
    if pico < 0:
        return "-" + format_usd(-pico)
    # Zeros from a table; a format specification costs twice as much.
    if pico < PICO_PER_USD:
        digits = str(pico)
        return f"0.{_ZEROS[len(digits)]}{digits}"
    digits = str(pico % PICO_PER_USD)
    return f"{pico // PICO_PER_USD}.{_ZEROS[len(digits)]}{digits}"
