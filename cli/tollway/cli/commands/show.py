"""How documents become lines for people: aligned tables, money that can be compared by eye."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence

from tollway.contract.money import PICO_PER_USD, parse_usd

__all__ = ["NONE", "amounts", "count", "echo_json", "short_time", "subject_text", "table"]

# Spend of no agent, model or connection is shown, never left out.
NONE = "(none)"
_LEAST_DECIMALS = 2
_MOST_DECIMALS = 6
_RIGHT = frozenset("$#")


def echo_json(document: object) -> None:
    # Where a letter cannot be shown, JSON has a way to write it that is JSON still.
    any_letter = sys.stdout.encoding.lower().replace("-", "") == "utf8"
    print(json.dumps(document, indent=2, ensure_ascii=not any_letter))


def amounts(usd: Sequence[str]) -> list[str]:
    """Dollars with as many decimals as the smallest amount needs for two figures, the same for all.

    What would be shown as zero and is not, is shown as less than the last digit.
    """
    picos = [parse_usd(amount) for amount in usd]
    decimals = max((_decimals(pico) for pico in picos), default=_LEAST_DECIMALS)
    return [_amount(pico, decimals) for pico in picos]


def _decimals(pico: int) -> int:
    if pico == 0:
        return _LEAST_DECIMALS
    digits = len(str(abs(pico)))
    # One dollar has thirteen digits: the first figure stands that far behind the point.
    needed = 13 - digits + 1
    return min(_MOST_DECIMALS, max(_LEAST_DECIMALS, needed))


def _amount(pico: int, decimals: int) -> str:
    step = PICO_PER_USD // 10**decimals
    steps, rest = divmod(abs(pico), step)
    if rest * 2 > step or (rest * 2 == step and steps % 2):
        steps += 1
    if steps == 0 and pico:
        return f"<$0.{1:0{decimals}d}"
    whole, fraction = divmod(steps, 10**decimals)
    sign = "-" if pico < 0 else ""
    return f"{sign}${whole:,}.{fraction:0{decimals}d}"


def count(number: int) -> str:
    return f"{number:,}"


def short_time(moment: str | None) -> str:
    """``2026-03-10T12:30:00.000Z`` as ``2026-03-10 12:30:00Z``."""
    if moment is None:
        return ""
    return moment[:19].replace("T", " ") + "Z"


def subject_text(subject: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in subject.items()) or "(workspace)"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Aligned columns; one whose name begins with $ or # is of numbers, and stands right."""
    lines = [[name.lstrip("$#") for name in columns], *([*row] for row in rows)]
    lines = [[_printable(cell) for cell in line] for line in lines]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if name[:1] in _RIGHT else cell.ljust(width)
            for name, cell, width in zip(columns, line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def _printable(cell: str) -> str:
    """Names come from agents: a terminal must not obey them."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in cell)
