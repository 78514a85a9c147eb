"""What people do in the fault tests: budgets, prices, policies, blocks, edits, and slips."""

import json
import random
from collections.abc import Iterator

__all__ = ["head_commands", "later_commands"]

# (workspace, record, the dead letter's reason or "")
CommandLine = tuple[str, bytes, str]

_TIME = "2026-01-01T00:00:00Z"
_LONG_AGO = "2020-01-01T00:00:00Z"

_BUDGETS: tuple[dict[str, object], ...] = (
    {"id": "ceiling", "match": {}, "window": "day", "limit_usd": "40"},
    {
        "id": "agent-day",
        "match": {"agent": "*"},
        "window": "day",
        "zone": "America/St_Johns",
        "limit_usd": "7.5",
    },
    {"id": "run", "match": {"session": "*"}, "window": "run", "limit_usd": "0.8"},
    {
        "id": "model-month",
        "match": {"model": "*"},
        "window": "month",
        "zone": "Europe/Berlin",
        "limit_usd": "20",
        "thresholds_percent": [1, 10, 50, 100, 200],
    },
    {
        "id": "connection-hour",
        "match": {"connection": "*"},
        "window": "hour",
        "zone": "Asia/Kathmandu",
        "limit_calls": 40,
    },
    {"id": "customer-week", "match": {"customer": "*"}, "window": "week", "limit_tokens": 900_000},
    {"id": "rolling", "match": {}, "window": "rolling:1h", "limit_usd": "6"},
    {
        "id": "all-time",
        "match": {"agent": "*", "model": "*"},
        "window": "total",
        "limit_usd": "11",
        "mode": "observe",
    },
    {
        "id": "bot-tool",
        "match": {"agent": "intercode", "tool": "*"},
        "window": "total",
        "limit_calls": 100,
        "action": "warn",
    },
)


def _command(workspace: str, name: str, kind: str, **body: object) -> CommandLine:
    document = {"id": name, "time": _TIME, "workspace": workspace, "type": kind, **body}
    return workspace, json.dumps({**document, "actor": "ops"}).encode(), ""


def head_commands(names: list[str]) -> Iterator[CommandLine]:
    """What is set before the first event."""
    for place, name in enumerate(names):
        for budget in _BUDGETS:
            yield _command(name, f"set {budget['id']}", "budget.set", budget=budget)
        if place % 3 == 0:
            policy: dict[str, object] = {"profile": "compat", "run_budget_usd": "0.25"}
            yield _command(name, "policy", "policy.set", policy=policy)
        if place % 4 == 0:
            price = {"tool": "sql", "effective_from": _LONG_AGO, "usd_per_call": "0.000500000001"}
            yield _command(name, "tool price", "tool_price.set", price=price)
        if place % 5 == 0:
            rates = {"input": "3.1", "output": "14.9"}
            override = {"model": "gpt-4o", "effective_from": _LONG_AGO, "price": rates}
            yield _command(name, "own price", "price.set", price=override)


def later_commands(names: list[str], rng: random.Random) -> list[list[CommandLine]]:
    """Groups to be sent while events flow: edits keep spend, prices charge what had none."""
    groups: list[list[CommandLine]] = []
    for turn in range(12):
        group: list[CommandLine] = []
        for name in rng.sample(names, max(1, len(names) // 6)):
            edited = {**_BUDGETS[0], "limit_usd": str(rng.choice((2, 9, 55, 400)))}
            group.append(_command(name, f"edit {turn}", "budget.set", budget=edited))
            person = _command(
                name,
                f"person {turn}",
                ("block", "unblock")[turn % 2],
                subject={"agent": "intercode"},
                reason="a drill",
            )
            group.append(person)
        groups.append(group)
    groups[7] += [_late_price(name) for name in names]
    groups[9] += [_late_tool_price(name, tool) for name in names for tool in ("sql", "python")]
    groups[3].append((names[0], b'{"type": "budget.set"', "malformed_command"))
    groups[4].append((names[1], b'{"type": "sudo", "id": "x"}', "unknown_command"))
    return groups


def _late_tool_price(name: str, tool: str) -> CommandLine:
    """What its calls cost, told when most were booked as free; the same where it has a price."""
    price = {"tool": tool, "effective_from": _LONG_AGO, "usd_per_call": "0.000500000001"}
    return _command(name, f"late price of {tool}", "tool_price.set", price=price)


def _late_price(name: str) -> CommandLine:
    """A price for a model that has none: what was booked without one is charged now."""
    rates = {"input": "0.123456", "output": "0.654321"}
    price = {
        "provider": "lmsys",
        "model": "vicuna-13b-v1.5",
        "effective_from": _LONG_AGO,
        "price": rates,
    }
    return _command(name, "late price", "price.set", price=price)
