"""Rows as the sinks store them, each with only what its test is about."""

import json
from collections.abc import Mapping

from tollway.sinks.clickhouse import ClickHouseStore, Client

__all__ = ["stored"]

_DEFAULTS: dict[str, dict[str, object]] = {
    "spend": {
        "workspace": "default",
        "minute": "2026-03-10T12:00:00.000Z",
        "opened_at_offset": 0,
        "partition": 0,
        "generation": 1,
        "agent": "bot",
        "cost": "1.000000000000",
        "events": 1,
        "version": 1,
    },
    "charges": {
        "workspace": "default",
        "time": "2026-03-10T12:00:00.000Z",
        "id": "e1",
        "agent": "bot",
        "cost": "1.000000000000",
        "partition": 0,
        "offset": 0,
        "log_time": "2026-03-10T12:00:00.000Z",
    },
    "accounts": {
        "workspace": "default",
        "budget_id": "cap",
        "subject": {},
        "subject_text": "*",
        "window": "day",
        "window_start": "2026-03-10T00:00:00.000Z",
        "window_end": "2026-03-11T00:00:00.000Z",
        "spent": "1.000000000000",
        "partition": 0,
        "generation": 1,
        "version": 1,
    },
    "decisions": {
        "id": "d1",
        "workspace": "default",
        "subject": {"agent": "bot"},
        "subject_text": "agent=bot",
        "rule": "budget:cap",
        "action": "block",
        "mode": "soft",
        "on_stale": "open",
        "reason": "exhausted",
        "message": "bot has spent its budget",
        "unit": "usd",
        "spent": "5.000000000000",
        "limit": "5.000000000000",
        "threshold_percent": 100,
        "window": "day",
        "window_start": "2026-03-10T00:00:00.000Z",
        "expires_at": "2026-03-11T00:00:00.000Z",
        "cause_partition": 0,
        "cause_offset": 7,
        "cause_event_id": "e7",
        "generation": 1,
        "usage_offset": 7,
        "commands_offset": -1,
        "version": 7,
        "issued_at": "2026-03-10T12:00:00.000Z",
    },
    "findings": {
        "id": "f1",
        "detector": "retry_loop",
        "level": "block",
        "workspace": "default",
        "agent": "bot",
        "session": "run-1",
        "step": 3,
        "event_id": "e3",
        "message": "the same call 5 times",
        "evidence": {"repeats": "5"},
        "time": "2026-03-10T12:00:00.000Z",
        "cause_partition": 0,
        "cause_offset": 3,
        "cause_event_id": "e3",
        "generation": 1,
        "usage_offset": 3,
        "commands_offset": -1,
        "version": 3,
    },
    "commands": {
        "id": "c1",
        "workspace": "default",
        "type": "budget.set",
        "actor": "ops",
        "reason": "",
        "time": "2026-03-01T00:00:00.000Z",
        "document": "{}",
        "partition": 0,
        "offset": 0,
        "log_time": "2026-03-01T00:00:00.000Z",
    },
    "deadletters": {
        "reason": "broken_json",
        "detail": "not JSON",
        "topic": "tollway.usage",
        "partition": 0,
        "offset": 0,
        "time": "2026-03-10T12:00:00.000Z",
        "value": "e30=",
        "size_bytes": 2,
    },
}


def stored(tables: Client, table: str, *rows: Mapping[str, object]) -> None:
    """Inserts the rows into a table, what they leave out taken from its example."""
    lines = [json.dumps({**_DEFAULTS[table], **row}) for row in rows]
    ClickHouseStore(tables).insert(table, "\n".join(lines).encode())
