"""`meter()` and `customer_report()`: what the registry knows of a month, summed up exactly."""

from collections.abc import Mapping

from tollway.compat.amounts import as_float, exact_pico
from tollway.compat.apeiros.months import Month
from tollway.compat.apeiros.tasks import ApeirosAgent

__all__ = ["customer_report", "meter"]

Told = dict[str, object]


def meter(month: str | None = None) -> Told:
    """What was spent in a month (``2026-01``), by default the present one, and by whom."""
    kept = _month(month)
    return {
        "month": kept.name,
        **kept.all.shown(),
        "customers": {name: sums.shown() for name, sums in kept.customers.items()},
    }


def customer_report(
    customer_id: str | None = None,
    *,
    month: str | None = None,
    revenue: Mapping[str, float] | float | None = None,
) -> Told:
    """A customer's month by task and model; without one, all customers' by their ids.

    With `revenue`, dollars of the customer or by customer, the margin too.
    """
    kept = _month(month)
    if customer_id is not None:
        return _with_margin(kept.report(customer_id), kept, _of(revenue, customer_id))
    return {
        name: _with_margin(kept.report(name), kept, _of(revenue, name)) for name in kept.customers
    }


def _month(name: str | None) -> Month:
    registry = ApeirosAgent._registry
    return registry.month() if name is None else registry.month_named(name)


def _of(revenue: Mapping[str, float] | float | None, customer_id: str) -> float | None:
    return revenue.get(customer_id) if isinstance(revenue, Mapping) else revenue


def _with_margin(report: Told, month: Month, revenue: float | None) -> Told:
    if revenue is None:
        return report
    earned = exact_pico(revenue)
    sums = month.customers.get(str(report["customer_id"]))
    margin = earned - (0 if sums is None else sums.cost_pico)
    report["revenue"] = as_float(earned)
    report["margin"] = as_float(margin)
    report["margin_percent"] = round(100 * margin / earned, 2) if earned else None
    return report
