"""Logs of more names than may be held: every kind of state is made to leave early."""

import json
from random import Random
from typing import Any

from ledgers import DAY, HOUR, MINUTE, T0, command
from logs import Entry
from tollway.contract.moments import format_ms
from tollway.domain.crowding import LIMITS

__all__ = ["crowded_log", "few"]

_AHEAD = (0, 0, 0, 0, 1_000, 1_000, 70_000, 16 * MINUTE, 40 * MINUTE, 3 * HOUR, 26 * HOUR)
_SELDOM = (*_AHEAD, 8 * DAY, 36 * DAY)
_LATE = (0, 0, 0, 0, -MINUTE, -20 * MINUTE, -2 * HOUR, -26 * HOUR)
_WORKSPACES = ("acme", "acme", "acme", "acme", "beta", "gamma", "delta")
_MATCHES: tuple[dict[str, str], ...] = (
    {},
    {"agent": "*"},
    {"session": "*"},
    {"user": "*"},
    {"agent": "*", "session": "*"},
    {"model": "*"},
)
_WINDOWS = ("hour", "day", "total", "total", "rolling:90m", "run")


def few(random: Random) -> dict[str, int]:
    """A limit for each kind, so low that it is met."""
    return {kind: random.randint(1, 8) for kind in LIMITS}


def crowded_log(random: Random, *, commands: bool = True, length: int = 120) -> list[Entry]:
    now = T0
    log: list[Entry] = []
    sent: list[tuple[int, bytes]] = []
    ahead = random.choice((_AHEAD, _SELDOM))
    for number in range(length):
        now += random.choice(ahead)
        drawn = random.random()
        if commands and drawn < (0.5 if number < 8 else 0.1):
            log.append(Entry("command", _command(random, number), now))
        elif drawn > 0.9 and (again := [value for at, value in sent if at > now - 70 * HOUR]):
            # Within the time in which fingerprints alone tell it.
            log.append(Entry("usage", random.choice(again), now))
        else:
            sent.append((now, _event(random, number, now)))
            log.append(Entry("usage", sent[-1][1], now))
    return log


def _event(random: Random, number: int, now: int) -> bytes:
    document: dict[str, Any] = {
        "id": f"e{number}",
        "time": format_ms(now + random.choice(_LATE)),
        "workspace": random.choice(_WORKSPACES),
        "agent": f"a{random.randint(0, 11)}",
        "kind": random.choice(("llm", "llm", "llm", "tool", "outcome", "loss")),
        "input_tokens": random.randint(0, 50_000),
        "model": random.choice(("small", "large", "mystery", "secret")),
    }
    if random.random() < 0.7:
        session = random.randint(0, 14)
        document["session"] = f"s{session}"
        if session and random.random() < 0.3:
            document["parent_session"] = f"s{session // 2}"
    if random.random() < 0.5:
        document |= {"user": f"u{random.randint(0, 9)}", "customer": f"k{random.randint(0, 3)}"}
    if random.random() < 0.3:
        document["cost"] = random.choice(("0", "0.01", "0.3", "0.700000000001", "1.5"))
    if random.random() < 0.6:
        document |= {"producer": f"p{random.randint(0, 7)}", "seq": number}
    if document["kind"] == "tool":
        document["tool"] = random.choice(("search", "mail"))
    elif document["kind"] == "loss":
        document["lost"] = {"queue_full": 2}
    return json.dumps(document).encode()


def _command(random: Random, number: int) -> bytes:
    named = {"id": f"c{number}", "workspace": random.choice(_WORKSPACES)}
    budget = {
        "id": random.choice(("cap", "other", "third")),
        "match": random.choice(_MATCHES),
        "window": random.choice(_WINDOWS),
        "limit_usd": random.choice(("0", "0.01", "0.05", "0.5", "3", "1000")),
    }
    rates = {"input": "2", "output": "4"}
    day = format_ms(T0 + random.choice((-90, 0, 1)) * DAY)
    mystery = {"model": random.choice(("mystery", "secret")), "effective_from": day}
    policy = {"unpriced": random.choice(("pending", "conservative", "block"))}
    agent = {"agent": f"a{random.randint(0, 3)}"}
    search = {"tool": "search", "effective_from": day, "usd_per_call": "0.02"}
    told: list[tuple[str, dict[str, Any]]] = [
        *[("budget.set", {"budget": budget})] * 8,
        ("budget.delete", {"budget_id": budget["id"]}),
        ("price.set", {"price": mystery | {"price": rates}}),
        ("tool_price.set", {"price": search}),
        ("policy.set", {"policy": policy}),
        ("block", {"subject": agent}),
        ("unblock", {"subject": agent}),
    ]
    kind, fields = random.choice(told)
    return command(kind, **(fields | named))
