"""`AgentBudget`: an amount, its soft limit and its loops, from which sessions are opened."""

from typing import TypeVar

from tollway.compat.agentbudget.books import Loops, SessionBooks, share_of
from tollway.compat.agentbudget.exceptions import InvalidBudget
from tollway.compat.agentbudget.sessions import (
    AsyncBudgetSession,
    BudgetSession,
    Callback,
    Callbacks,
    new_session_id,
)
from tollway.compat.agentbudget.webhook import Webhook
from tollway.compat.amounts import NotDollars, as_float, exact_pico
from tollway.producers import process
from tollway.producers.local.prices import prices
from tollway.producers.recorder import UNATTRIBUTED

__all__ = ["AgentBudget"]

Kind = TypeVar("Kind", bound=BudgetSession)


class AgentBudget:
    """Each session of it has the whole amount.

    A loop is one call, with the same arguments and the same result, `max_repeated_calls` times in
    `loop_window_seconds`. `finalization_reserve` is the share that is kept back from the limit.
    """

    def __init__(
        self,
        max_spend: str | float | int,
        soft_limit: float = 0.9,
        max_repeated_calls: int = 10,
        loop_window_seconds: float = 60.0,
        on_soft_limit: Callback | None = None,
        on_hard_limit: Callback | None = None,
        on_loop_detected: Callback | None = None,
        webhook_url: str | None = None,
        finalization_reserve: float = 0.0,
    ) -> None:
        if not 0.0 <= finalization_reserve < 1.0:
            raise ValueError(
                f"finalization_reserve is {finalization_reserve!r}; it is a share in [0.0, 1.0)"
            )
        self._max_pico = _budget(max_spend)
        self._hard_pico = self._max_pico - share_of(self._max_pico, finalization_reserve)
        self._soft_pico = share_of(self._hard_pico, soft_limit)
        self._loops = Loops(max_repeated_calls, loop_window_seconds)
        told = Callbacks(
            on_soft_limit=on_soft_limit,
            on_hard_limit=on_hard_limit,
            on_loop_detected=on_loop_detected,
        )
        self._callbacks = told if webhook_url is None else Webhook(webhook_url).beside(told)

    @property
    def max_spend(self) -> float:
        return as_float(self._max_pico)

    def session(self, session_id: str | None = None) -> BudgetSession:
        return self._opened(BudgetSession, session_id)

    def async_session(self, session_id: str | None = None) -> AsyncBudgetSession:
        return self._opened(AsyncBudgetSession, session_id)

    def _opened(self, kind: type[Kind], session_id: str | None) -> Kind:
        # Here, not at the first call: the first list of prices takes a third of a second.
        prices.book()
        books = SessionBooks(
            session_id or new_session_id(),
            process.default_agent() or UNATTRIBUTED,
            self._hard_pico,
            self._soft_pico,
            self._loops.renewed(),
        )
        return kind(books, self._callbacks)


def _budget(amount: str | float | int) -> int:
    try:
        pico = exact_pico(amount)
    except NotDollars:
        raise InvalidBudget(str(amount)) from None
    if pico <= 0:
        raise InvalidBudget(str(amount))
    return pico
