"""Recorded runs through the ledger, against sums made one by one from what came out and went in."""

import gzip
import json
import os
from collections import defaultdict
from pathlib import Path

import pytest

from ledgers import Log, command
from naive_sums import oracle_minutes, oracle_window
from tollway.contract.moments import format_ms, parse_ms
from tollway.contract.money import parse_usd
from tollway.domain.prices import Catalogue

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("TOLLWAY_DATA", ROOT.parent / "shared" / "data"))
TRACES = sorted(path.name for path in (DATA / "traces").glob("*.jsonl.gz"))
MOST = 4_000
WINDOWS = [("total", "UTC"), ("day", "Europe/Berlin"), ("hour", "Asia/Kathmandu"), ("week", "UTC")]


@pytest.mark.skipif(
    not TRACES, reason=f"no recorded runs in {DATA}: set TOLLWAY_DATA to check them"
)
@pytest.mark.parametrize("name", TRACES or ["none"])
def test_a_recorded_source_balances_by_minute_and_by_window(name: str) -> None:
    with gzip.open(DATA / "traces" / name, "rt") as lines:
        events = [json.loads(line) for _, line in zip(range(MOST), lines, strict=False)]
    events.sort(key=lambda event: parse_ms(event["time"]))
    workspace = events[0]["workspace"]
    log = Log(Catalogue.bundled(), now=parse_ms(events[0]["time"]))
    log.send(b"x")
    for window, zone in WINDOWS:
        body = {"id": window, "window": window, "zone": zone, "limit_usd": "1000000"}
        log.tell(command("budget.set", workspace=workspace, budget=body))
    for number, event in enumerate(events):
        log.send(json.dumps(event).encode(), at=max(log.now, parse_ms(event["time"])))
        if number % 500 == 499:
            log.close()
        if number % 1500 == 1499:
            log.restart()
    log.close()

    assert [letter.offset for letter in log.letters] == [0]
    charges = log.charges()
    # What came in, by its own words: every event once, every token, at the time it happened.
    assert len(charges) == len({(e.get("source"), e["id"]) for e in events})
    first = {(e.get("source") or "", e["id"]): e for e in reversed(events)}
    assert sum(c.input_tokens for c in charges) == sum(
        e.get("input_tokens", 0) for e in first.values()
    )
    assert {(c.source, c.id): c.time for c in charges} == {
        key: format_ms(parse_ms(e["time"])) for key, e in first.items()
    }
    _balances(log, workspace)


def _balances(log: Log, workspace: str) -> None:
    charges = log.charges()
    minutes: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in log.books.spend_rows().values():
        lane = (row.agent, row.provider, row.model, row.connection, row.tool, row.user)
        into = minutes[(row.workspace, *lane, row.customer, row.minute)]
        into[0] += parse_usd(row.cost)
        into[1] += row.input_tokens
        into[2] += row.output_tokens
    assert dict(minutes) == oracle_minutes(charges)
    for window, zone in WINDOWS:
        expected: dict[str, int] = defaultdict(int)
        for c in charges:
            expected[oracle_window(window, zone, parse_ms(c.time))] += parse_usd(c.cost)
        held: dict[str, int] = defaultdict(int)
        for account in log.books.account_rows().values():
            if account.budget_id == window:
                start = 0 if account.window_start is None else parse_ms(account.window_start)
                held[oracle_window(window, zone, start)] += parse_usd(account.spent)
        assert dict(held) == dict(expected), (workspace, window)
