"""What customers' tasks cost in one month: the tasks, and sums that are exact however many."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from tollway.compat.amounts import as_float
from tollway.contract.money import format_usd, parse_usd

__all__ = ["MAX_CUSTOMERS", "MAX_LISTED", "Month", "Sums", "TaskRecord", "month_of"]

# Tasks of a customer that are listed one by one; sums are of all.
MAX_LISTED: Final = 10_000
# Past this many, further customers are summed up together.
MAX_CUSTOMERS: Final = 100_000
_BEYOND: Final = "others"
_MONTH_DIGITS: Final = len("2026-01")


class TaskRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One task, or one session, that has ended: a line of the state file."""

    v: int = 1
    # None: a session that was for no customer.
    customer_id: str | None
    task: str
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    # Dollars as a decimal string.
    cost: str
    # No list has the model's price: the cost is that of its provider's dearest.
    unpriced: bool = False
    success: bool | None = None
    ended_at: str

    def shown(self) -> dict[str, object]:
        """As the registry lists it; `cost_estimate` is a float, as its readers add them up."""
        return {
            "customer_id": self.customer_id,
            "task": self.task,
            "model": self.model,
            "tokens": self.input_tokens + self.output_tokens,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_estimate": float(Decimal(self.cost)),
            "cost": self.cost,
            "unpriced": self.unpriced,
            "success": self.success,
            "ended_at": self.ended_at,
        }


def month_of(moment: str) -> str:
    """``2026-01`` of an RFC 3339 moment in UTC."""
    return moment[:_MONTH_DIGITS]


class Sums:
    """How much of something there was."""

    __slots__ = ("cost_pico", "tasks", "tokens", "unpriced")

    def __init__(self) -> None:
        self.cost_pico = 0
        self.tasks = 0
        self.tokens = 0
        self.unpriced = 0

    def add(self, record: TaskRecord) -> None:
        self.cost_pico += parse_usd(record.cost)
        self.tasks += 1
        self.tokens += record.input_tokens + record.output_tokens
        self.unpriced += record.unpriced

    def shown(self) -> dict[str, object]:
        return {
            "total_cost": as_float(self.cost_pico),
            "cost": format_usd(self.cost_pico),
            "tasks": self.tasks,
            "tokens": self.tokens,
            "unpriced_tasks": self.unpriced,
        }


class Month:
    """Takes records of any month, and keeps those of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.all = Sums()
        self.customers: dict[str, Sums] = {}
        # By customer, then by task, and by model.
        self.tasks: dict[str, dict[str, Sums]] = {}
        self.models: dict[str, dict[str, Sums]] = {}
        self.listed: dict[str, list[dict[str, object]]] = {}

    def take(self, record: TaskRecord) -> None:
        if month_of(record.ended_at) != self.name:
            return
        self.all.add(record)
        customer = record.customer_id
        if customer is None:
            return
        if customer not in self.customers and len(self.customers) >= MAX_CUSTOMERS:
            customer = _BEYOND
        self.customers.setdefault(customer, Sums()).add(record)
        _of(self.tasks.setdefault(customer, {}), record.task).add(record)
        _of(self.models.setdefault(customer, {}), record.model).add(record)
        listed = self.listed.setdefault(customer, [])
        listed.append(record.shown())
        if len(listed) > MAX_LISTED:
            del listed[0]

    def report(self, customer: str) -> dict[str, object]:
        """One customer's month."""
        sums = self.customers.get(customer, Sums())
        return {
            "customer_id": customer,
            "month": self.name,
            **sums.shown(),
            "by_task": _shown(self.tasks.get(customer, {})),
            "by_model": _shown(self.models.get(customer, {})),
        }


def _of(sums: dict[str, Sums], name: str) -> Sums:
    if name not in sums and len(sums) >= MAX_LISTED:
        name = _BEYOND
    return sums.setdefault(name, Sums())


def _shown(sums: Mapping[str, Sums]) -> dict[str, object]:
    return {name: each.shown() for name, each in sums.items()}
