"""The budget of one session: a limit, a soft one before it, and a reserve for finishing."""

from decimal import Decimal
from typing import Final

from tollway.contract.command import Budget
from tollway.contract.money import MalformedMoney, format_usd, parse_usd
from tollway.domain.accounts import Account
from tollway.domain.budgets import Rule
from tollway.domain.calendar import FOREVER_MS

__all__ = ["Amount", "Limits", "amount_pico", "usd"]

# Dollars as people write them: "$5.00", "5", 5, Decimal("0.01"); never a binary float.
Amount = str | int | Decimal

_WHOLE: Final = 100
# A session without a budget still adds up.
_UNLIMITED: Final = "999999999999999"


def amount_pico(amount: Amount, what: str) -> int:
    """Pico-dollars of an amount. Raises `ValueError` that names `what`."""
    if isinstance(amount, bool | float):
        kind = type(amount).__name__
        raise ValueError(f'{what} is a {kind}; write dollars as a string, such as "5.00"')  # noqa: TRY004 -- one kind of error for all that is wrong with an amount
    text = f"{amount:f}" if isinstance(amount, Decimal) else str(amount)
    try:
        pico = parse_usd(text)
    except MalformedMoney as why:
        raise ValueError(f"{what}: {why}") from None
    if pico < 0:
        raise ValueError(f"{what} is negative: {text}")
    return pico


def usd(pico: int) -> Decimal:
    """The exact amount, for people who calculate with it."""
    return Decimal(format_usd(pico))


class Limits:
    """An account of the domain under the session's own budget: thresholds fire once, in order."""

    def __init__(self, session: str, budget: Amount | None, soft: float, reserve: float) -> None:
        self.session = session
        self.budget_pico = None if budget is None else amount_pico(budget, "budget")
        self.soft_percent = _percent(soft, "soft", least=1, most=_WHOLE)
        self.reserve_percent = _percent(reserve, "reserve", least=0, most=_WHOLE - 1)
        self.account = Account(self._rule(), {"session": session}, 0, FOREVER_MS, 0)

    def _rule(self) -> Rule:
        soft = self.soft_percent
        return Rule(
            "local",
            Budget(
                id="session",
                match={"session": "*"},
                window="run",
                limit_usd=_UNLIMITED if self.budget_pico is None else format_usd(self.hard_pico()),
                thresholds_percent=[soft, _WHOLE] if soft < _WHOLE else [_WHOLE],
            ),
            0,
        )

    def hard_pico(self) -> int:
        """Where work stops: the budget without what is kept for finishing."""
        assert self.budget_pico is not None
        return self.budget_pico * (_WHOLE - self.reserve_percent) // _WHOLE

    def release_reserve(self) -> None:
        """From now on the whole budget may be spent."""
        self.reserve_percent = 0
        self.account.rule = self._rule()
        self.account.rearm()

    def add(self, cost: int, tokens: int, calls: int, at_ms: int) -> list[int]:
        """The thresholds that this crosses, in percent of the hard limit."""
        self.account.add(cost, tokens, calls, at_ms)
        crossed = []
        if self.budget_pico is not None:
            while percent := self.account.cross():
                crossed.append(percent)
        return crossed

    @property
    def spent_pico(self) -> int:
        return self.account.spent

    def left_pico(self) -> int | None:
        """What is left of the hard limit, below 0 where it is exceeded; None without a budget."""
        return None if self.budget_pico is None else self.hard_pico() - self.account.spent


def _percent(share: float, what: str, *, least: int, most: int) -> int:
    percent = round(share * _WHOLE)
    if isinstance(share, bool) or not least <= percent <= most:
        raise ValueError(
            f"{what} is {share!r}; it is a share from {least / _WHOLE} to {most / _WHOLE}"
        )
    return percent
