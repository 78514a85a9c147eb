"""A law: what is booked before its price is set costs, in the end, what it costs booked after."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledgers import HOUR, MINUTE, T0, Log, command
from logs import Entry, Outcome, logs, play
from tollway.contract.control import Decision
from tollway.contract.money import parse_usd
from tollway.contract.subjects import encode_subject

CALM = settings(max_examples=120, deadline=None)
# Within the 72 hours in which a tool's price may be dated back.
AHEAD = [0, 0, 1_000, 30_000, 70_000, 16 * MINUTE, 40 * MINUTE]
LATE = [0, 0, -1_000, -MINUTE, -20 * MINUTE, -2 * HOUR, -26 * HOUR, -80 * HOUR, 4 * MINUTE]
SUBJECTS: list[dict[str, str]] = [{}, {"agent": "*"}, {"session": "*"}, {"tool": "*"}]
WINDOWS = ["hour", "day", "month", "total", "rolling:90m"]
LONG_AGO = "2020-01-01T00:00:00Z"
NONSENSE = b'{"agent":'


def _watched() -> list[Entry]:
    told = [
        command(
            "budget.set",
            workspace=workspace,
            budget={"id": f"{window}-{at}", "match": match, "window": window, "limit_usd": "1"},
        )
        for workspace in ("acme", "beta")
        for window in WINDOWS
        for at, match in enumerate(SUBJECTS)
    ]
    return [Entry("usage", b"{}", T0), *(Entry("command", text, T0) for text in told)]


def _priced(tools: Mapping[str, str], model: bool, since: str) -> list[bytes]:
    """One price for each tool, and perhaps one for the model that has none, in both workspaces."""
    told: list[bytes] = []
    for workspace in ("acme", "beta"):
        for tool, usd in tools.items():
            price: dict[str, Any] = {"tool": tool, "effective_from": since, "usd_per_call": usd}
            told.append(command("tool_price.set", workspace=workspace, price=price))
        if model:
            rates = {"input": "2", "output": "4"}
            price = {"model": "mystery", "effective_from": LONG_AGO, "price": rates}
            told.append(command("price.set", workspace=workspace, price=price))
    return told


prices = st.dictionaries(
    st.sampled_from(["search", "mail"]),
    st.sampled_from(["0", "0.02", "0.300000000001", "1.5"]),
    min_size=1,
)
beginnings = st.sampled_from(
    [LONG_AGO, "2026-03-09T10:00:00.500Z", "2026-03-10T12:00:00Z", "2026-03-10T12:16:30Z"]
)


def _settled(log: list[Entry]) -> list[Entry]:
    """Without what is not the same before and after.

    A parent that is learned later pays for what comes then; a tool's call that the price of a model
    has charged keeps it.
    """
    return [Entry(e.kind, _settled_event(e.value), e.stamp_ms) for e in log]


def _settled_event(value: bytes) -> bytes:
    if value == NONSENSE:
        return value
    document: dict[str, object] = json.loads(value)
    document.pop("parent_session", None)
    if document.get("session") == "s1":
        document["parent_session"] = "s2"
    if document["kind"] == "tool" and document.get("model") != "mystery":
        document.pop("model", None)
    return json.dumps(document).encode()


@CALM
@given(
    logs(ahead=AHEAD, late=LATE, commands=False).map(_settled),
    prices,
    st.booleans(),
    beginnings,
    st.sampled_from(["pending", "conservative", "block"]),
    st.sets(st.integers(0, 40), max_size=3),
)
def test_a_price_set_before_and_the_same_price_set_after_give_the_same_books(
    log: list[Entry],
    tools: dict[str, str],
    model: bool,
    since: str,
    unpriced: str,
    cuts: Collection[int],
) -> None:
    policies = [
        Entry("command", command("policy.set", workspace=w, policy={"unpriced": unpriced}), T0)
        for w in ("acme", "beta")
    ]
    told = _priced(tools, model, since)
    head = [*_watched(), *policies]
    end = log[-1].stamp_ms

    before = play([*head, *(Entry("command", text, T0) for text in told), *log])
    after = play(
        [*head, *log, *(Entry("command", text, end) for text in told)],
        restart_after=[len(head) + cut for cut in cuts],
    )

    assert _costs(after) == _costs(before)
    assert _minutes(after) == _minutes(before)
    assert _accounts(after) == _accounts(before)
    assert _runs(after.log) == _runs(before.log)
    assert _in_force(after.log) == _in_force(before.log)


def _costs(outcome: Outcome) -> dict[tuple[str, ...], tuple[int, int, int]]:
    """Of each event, and of the dimensions that pay: money, calls and tokens."""
    sums: dict[tuple[str, ...], tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
    for c in outcome.log.charges():
        pays = (c.agent, c.session, c.parent_session, c.connection, c.user, c.customer, c.tool)
        key = (c.workspace, c.adjusts or c.id, c.time, c.model, *pays)
        pico, calls, tokens = sums[key]
        events = int(c.kind != "adjustment")
        sums[key] = (
            pico + parse_usd(c.cost),
            calls + events,
            tokens + c.input_tokens + c.output_tokens,
        )
    return dict(sums)


def _minutes(outcome: Outcome) -> dict[tuple[str, ...], tuple[int, int, int]]:
    sums: dict[tuple[str, ...], tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
    for row in outcome.books.spend_rows().values():
        pays = (row.agent, row.provider, row.model, row.connection, row.user, row.customer)
        key = (row.workspace, row.minute, row.tool, *pays)
        pico, events, unpriced = sums[key]
        sums[key] = (
            pico + parse_usd(row.cost),
            events + row.events,
            unpriced + row.unpriced_events,
        )
    return dict(sums)


def _accounts(outcome: Outcome) -> dict[tuple[object, ...], tuple[object, ...]]:
    return {
        name: (row.spent, row.tokens, row.calls, row.unpriced, row.fired_percent)
        for name, row in outcome.books.account_rows().items()
    }


def _runs(log: Log) -> dict[tuple[str, str, str], int]:
    return {
        (workspace.name, run.session, run.agent): run.watch.spent_pico
        for workspace in log.ledger.workspaces.values()
        for run in workspace.runs.values()
        # Without a session it is no run: what the detectors know of it ends with a pause.
        if run.session
    }


def _in_force(log: Log) -> dict[tuple[str, str, str], str]:
    """What budgets say at the end, by workspace, rule and subject."""
    standing = [
        piece.decision
        for piece in log.ledger.verdicts.standing.values()
        if piece.expires_ms > log.ledger.log_ms
    ]
    return {
        (d.workspace, d.rule, encode_subject(d.subject)): d.action
        for d in standing
        if d.rule.startswith("budget:") and (d.action == "block" or not _rolls(d))
    }


def _rolls(decision: Decision) -> bool:
    """A rolling window warns once on its way up: which way it went is not the same."""
    return (decision.window or "").startswith("rolling")
