"""`ApeirosAgent`: what one customer's tasks cost, kept in a registry that outlives the process."""

import time
import uuid
from typing import ClassVar

from tollway.compat.amounts import as_float
from tollway.compat.apeiros.months import TaskRecord
from tollway.compat.apeiros.registry import Registry
from tollway.contract.moments import format_ms
from tollway.contract.money import format_usd
from tollway.contract.usage import UsageEvent
from tollway.domain.usage import Usage
from tollway.producers import process
from tollway.producers.local.prices import prices
from tollway.producers.recorder import UNATTRIBUTED

__all__ = ["ApeirosAgent"]


class ApeirosAgent:
    """One task at a time: `start_task`, `update_tokens`, `end_task`.

    A number of tokens that does not say which are input is priced as output, which is the dearest
    that it can be; with both it is exact. A model without a price costs its provider's dearest.
    """

    _registry: ClassVar[Registry] = Registry()

    def __init__(self, customer_id: str, model: str, *, agent: str | None = None) -> None:
        self.customer_id = customer_id
        self.model = model
        self._agent = agent or process.default_agent() or UNATTRIBUTED
        self._task: str | None = None
        self._input_tokens = 0
        self._output_tokens = 0

    @property
    def cost_estimate(self) -> float:
        """Dollars of the task that runs, or of the last one."""
        return as_float(self._cost()[0])

    def start_task(self, name: str) -> None:
        """Ends the task before it, if that still runs."""
        if self._task is not None:
            self.end_task(success=None)
        self._task = name
        self._input_tokens = self._output_tokens = 0

    def update_tokens(
        self, tokens: int = 0, *, input_tokens: int = 0, output_tokens: int = 0
    ) -> None:
        """Adds to the task. Raises `ValueError` for fewer than none."""
        if min(tokens, input_tokens, output_tokens) < 0:
            raise ValueError("a task cannot use fewer than no tokens")
        self._input_tokens += input_tokens
        self._output_tokens += tokens + output_tokens

    def end_task(self, *, success: bool | None = True) -> dict[str, object] | None:
        """Registers the task and meters it; its record, or None where no task runs."""
        if self._task is None:
            return None
        cost, unpriced = self._cost()
        record = TaskRecord(
            customer_id=self.customer_id,
            task=self._task,
            model=self.model,
            input_tokens=self._input_tokens,
            output_tokens=self._output_tokens,
            cost=format_usd(cost),
            unpriced=unpriced,
            success=success,
            ended_at=_now(),
        )
        self._task = None
        self._registry.add(record)
        process.record(
            model=self.model,
            agent=self._agent,
            customer=self.customer_id,
            task=record.task,
            input_tokens=record.input_tokens,
            output_tokens=record.output_tokens,
        )
        return record.shown()

    def _cost(self) -> tuple[int, bool]:
        """Pico-dollars, and whether no list has the price."""
        usage = Usage(
            UsageEvent(
                id=uuid.uuid4().hex,
                time=_now(),
                workspace="local",
                agent=self._agent,
                model=self.model,
                input_tokens=self._input_tokens,
                output_tokens=self._output_tokens,
            )
        )
        cost = prices.price(usage).pico
        return (prices.ceiling(usage) or 0, True) if cost is None else (cost, False)


def _now() -> str:
    return format_ms(time.time_ns() // 1_000_000)
