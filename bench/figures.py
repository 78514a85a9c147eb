"""A measured figure: its name, unit, value, and what was asked of it."""

from statistics import median
from typing import Self

import msgspec

__all__ = ["Figure"]


class Figure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`value` is the median of `runs`. At most one of `at_least` and `at_most` is the target."""

    name: str
    unit: str
    value: float
    runs: list[float] = []
    at_least: float | None = None
    at_most: float | None = None
    # When it was measured again, later than the run that the others are of.
    taken: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        unit: str,
        runs: list[float],
        *,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> Self:
        rounded = [float(f"{value:.4g}") for value in runs]
        return cls(
            name=name,
            unit=unit,
            value=float(f"{median(runs):.4g}"),
            runs=rounded if len(runs) > 1 else [],
            at_least=at_least,
            at_most=at_most,
        )

    def target(self) -> str:
        if self.at_least is not None:
            return f"≥ {self.at_least:,g}"
        return "" if self.at_most is None else f"≤ {self.at_most:,g}"

    def is_missed(self) -> bool:
        if self.at_least is not None:
            return self.value < self.at_least
        return self.at_most is not None and self.value > self.at_most
