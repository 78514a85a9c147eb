"""The budget of one session: a limit, a soft one before it, and a reserve for finishing."""

from typing import Final

from tollway.contract.command import Budget
from tollway.contract.money import format_usd
from tollway.domain.accounts import Account
from tollway.domain.budgets import Rule
from tollway.domain.calendar import FOREVER_MS
from tollway.producers.amounts import Amount, amount_pico

__all__ = ["Limits"]

_WHOLE: Final = 100
# 0.07 * 100 is not 7 in binary.
_NEAR: Final = 1e-6
# A session without a budget still adds up.
_UNLIMITED: Final = "999999999999999"


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
    is_whole = abs(share * _WHOLE - percent) < _NEAR
    if isinstance(share, bool) or not is_whole or not least <= percent <= most:
        raise ValueError(
            f"{what} is {share!r}; it is a share from {least / _WHOLE} to {most / _WHOLE},"
            " in whole percents"
        )
    return percent
