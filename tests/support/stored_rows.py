"""The rows that a sink stored, read by a process of its own, against what the oracle expects."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec

from oracle import Charged, ChargeKey, Expected, MinuteKey, Spent

__all__ = ["check_store", "export"]

_QUERIES = {
    "charges": """
        SELECT workspace, source, id, adjusts, toString(cost) AS cost, kind, agent, session,
            parent_session, connection, user, customer, provider, model, tool, step,
            input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
            skewed, late, toUnixTimestamp64Milli(time) AS booked_ms
        FROM charges FINAL""",
    "spend": """
        SELECT workspace, toUnixTimestamp64Milli(minute) AS minute_ms, agent, provider, model,
            connection, tool, user, customer, toString(sum(cost)) AS cost, sum(events) AS events,
            sum(calls) AS calls, sum(input_tokens) AS input_tokens,
            sum(output_tokens) AS output_tokens, sum(cache_read_tokens) AS cache_read_tokens,
            sum(cache_write_tokens) AS cache_write_tokens, sum(unpriced_events) AS unpriced_events
        FROM spend FINAL
        GROUP BY workspace, minute, agent, provider, model, connection, tool, user, customer""",
    "accounts": """
        SELECT workspace, budget_id, subject_text, toString(spent) AS spent, tokens, calls,
            last_event_ms, fired_percent,
            toUnixTimestamp64Milli(ifNull(window_start, toDateTime64(0, 3, 'UTC'))) AS start_ms
        FROM accounts FINAL""",
    "deadletters": "SELECT topic, reason, key, size_bytes FROM deadletters FINAL",
    "decisions": "SELECT id FROM decisions FINAL",
    "findings": "SELECT id FROM findings FINAL",
    "audit_hours": "SELECT * FROM audit_hours WHERE difference != 0",
    "audit_accounts": "SELECT * FROM audit_accounts WHERE difference != 0",
}

_EXPORT = """
import json, sys
from pathlib import Path
from tollway.sinks.clickhouse import connect
store, rows, queries = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
client = connect(store)
rows.mkdir(parents=True, exist_ok=True)
for name, query in queries.items():
    settings = {"output_format_json_quote_64bit_integers": 0}
    body = client.raw_query(query, fmt="JSONEachRow", settings=settings)
    (rows / f"{name}.jsonl").write_bytes(body)
"""

Row = dict[str, Any]  # of whatever a query names


class Report(Protocol):
    """Where differences are told."""

    differences: list[str]

    def compare(self, what: str, is_: object, should: object) -> None: ...

    def compare_sets(self, what: str, is_: set[str], should: set[str]) -> None: ...

    def count(self, what: str, number: int) -> None: ...


def export(store: Path, rows: Path) -> Path:
    """Every query's rows as JSON lines. A process of its own: chDB opens one path in its life."""
    queries = msgspec.json.encode(_QUERIES).decode()
    command = [sys.executable, "-c", _EXPORT, f"chdb://{store}", str(rows), queries]
    subprocess.run(command, check=True, timeout=600, cwd=rows.parent)
    return rows


def _rows(tables: Path, name: str) -> Iterator[Row]:
    decode = msgspec.json.Decoder(Row).decode
    with (tables / f"{name}.jsonl").open("rb") as lines:
        for line in lines:
            yield decode(line)


def _pico(text: str) -> int:
    dollars, _, rest = text.removeprefix("-").partition(".")
    pico = int(dollars + rest.ljust(12, "0"))
    return -pico if text.startswith("-") else pico


def check_store(tables: Path, expected: Expected, verdicts: set[str], report: Report) -> None:
    _charges(tables, expected, report)
    _spend(tables, expected, report)
    _accounts(tables, expected, report)
    letters: Counter[tuple[str, str, str, int]] = Counter()
    for row in _rows(tables, "deadletters"):
        key = msgspec.json.decode(f'"{row["key"] or ""}"', type=bytes).decode()
        letters[(row["topic"], row["reason"], key, row["size_bytes"])] += 1
    report.compare("dead letters stored", letters - expected.dead_letters, Counter())
    report.compare("dead letters not stored", expected.dead_letters - letters, Counter())
    ids = {row["id"] for name in ("decisions", "findings") for row in _rows(tables, name)}
    report.compare_sets("verdicts stored", ids, verdicts)
    for name in ("audit_hours", "audit_accounts"):
        report.differences += [f"view {name}: {row}" for row in _rows(tables, name)]


def _charges(tables: Path, expected: Expected, report: Report) -> None:
    booked: dict[ChargeKey, Charged] = {}
    corrected: Counter[ChargeKey] = Counter()
    late: set[ChargeKey] = set()
    for row in _rows(tables, "charges"):
        pico = _pico(row["cost"])
        report.count("charges in the store", 1)
        report.count("pico-dollars in the store", pico)
        if row["adjusts"]:
            corrected[(row["workspace"], row["source"], row["adjusts"])] += pico
            continue
        key = (row["workspace"], row["source"], row["id"])
        if key in booked:
            report.differences.append(f"charge {key} is stored twice")
        if row["late"]:
            late.add(key)
        booked[key] = Charged(
            cost_pico=pico, **{name: row[name] for name in Charged._fields if name != "cost_pico"}
        )
    for key in sorted(booked.keys() | expected.charges.keys()):
        charged = booked.get(key)
        if charged is not None and key in corrected:
            charged = charged._replace(cost_pico=charged.cost_pico + corrected[key])
        report.compare(f"charge {key}", charged, expected.charges.get(key))
    if expected.late is not None:
        report.compare("late charges", sorted(late ^ expected.late), [])
    total = sum(charged.cost_pico for charged in expected.charges.values())
    report.compare("pico-dollars", _total(booked, corrected), total)


def _total(booked: dict[ChargeKey, Charged], corrected: Counter[ChargeKey]) -> int:
    return sum(charged.cost_pico for charged in booked.values()) + corrected.total()


def _spend(tables: Path, expected: Expected, report: Report) -> None:
    stored: dict[MinuteKey, Spent] = {}
    for row in _rows(tables, "spend"):
        key: MinuteKey = (
            row["workspace"],
            row["minute_ms"],
            row["agent"],
            row["provider"],
            row["model"],
            row["connection"],
            row["tool"],
            row["user"],
            row["customer"],
        )
        stored[key] = Spent(
            cost_pico=_pico(row["cost"]),
            **{name: row[name] for name in Spent.__slots__ if name != "cost_pico"},
        )
    report.count("minutes of spend compared", len(stored))
    for key in sorted(stored.keys() | expected.spend.keys()):
        report.compare(f"spend {key}", stored.get(key), expected.spend.get(key))


def _accounts(tables: Path, expected: Expected, report: Report) -> None:
    stored = {}
    for row in _rows(tables, "accounts"):
        key = (row["workspace"], row["budget_id"], row["subject_text"], row["start_ms"])
        stored[key] = (
            _pico(row["spent"]),
            row["tokens"],
            row["calls"],
            row["last_event_ms"],
            row["fired_percent"],
        )
    report.count("accounts compared", len(stored))
    for key in sorted(stored.keys() | expected.accounts.keys()):
        amounts = expected.accounts.get(key)
        should = amounts and (
            amounts.cost_pico,
            amounts.tokens,
            amounts.calls,
            amounts.newest_ms,
            amounts.fired_percent,
        )
        report.compare(f"account {key}", stored.get(key), should)
