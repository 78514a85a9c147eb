"""Which subject of a budget an event's values belong to."""

from tollway.contract.subjects import Subject
from tollway.domain.budgets import Rule
from tollway.domain.routes import Route

__all__ = ["purse_key", "subject_of", "values_of"]


def purse_key(rule: Rule, subject: Subject) -> tuple[str, ...]:
    return (rule.budget.id, *[subject[name] for name in rule.dimensions])


def values_of(route: Route) -> dict[str, str]:
    agent, provider, model, connection, tool, user, customer = route.lane.dimensions
    return {
        "agent": agent,
        "connection": connection,
        "user": user,
        "customer": customer,
        "provider": provider,
        "model": model,
        "tool": tool,
    }


def subject_of(rule: Rule, values: dict[str, str]) -> Subject | None:
    """The budget's subject that these values belong to; None where they do not match."""
    subject: Subject = {}
    for name in rule.dimensions:
        value = values.get(name, "")
        if not value or rule.fixed.get(name, value) != value:
            return None
        subject[name] = value
    return subject
