"""Laws of the ledger, over small generated logs: replay, restart, order, duplicates, balance."""

import json
from collections import defaultdict

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ledgers import DAY, HOUR, MINUTE, T0, Log, command
from logs import Entry, Outcome, entries_at_rest, logs, play, sums_of_minutes
from naive_sums import oracle_minutes, oracle_window
from tollway.contract.control import Decision, control_key
from tollway.contract.moments import parse_ms
from tollway.contract.money import parse_usd

CALM = settings(max_examples=60, deadline=None)

_decision = msgspec.json.Decoder(Decision).decode

# Budgets over everything, set before the first event: what they hold can be added up again.
WATCHED = [
    ("total", "total", "UTC"),
    ("day", "day", "Europe/Berlin"),
    ("hour", "hour", "Asia/Kathmandu"),
    ("week", "week", "America/St_Johns"),
    ("month", "month", "Pacific/Apia"),
]


def _watched(log: list[Entry]) -> list[Entry]:
    told = [
        Entry(
            "command",
            command(
                "budget.set",
                workspace=workspace,
                budget={"id": f"w-{name}", "window": window, "zone": zone, "limit_usd": "1.00"},
            ),
            T0,
        )
        for workspace in ("acme", "beta")
        for name, window, zone in WATCHED
    ]
    # A budget is made when the log says so; before its first record there is no time.
    return [Entry("usage", b"{}", T0), *told, *log]


def _written(outcome: Outcome) -> tuple[object, ...]:
    return outcome.lines, outcome.verdicts, outcome.letters, outcome.books.live


@CALM
@given(logs())
def test_a_replay_gives_the_same_bytes(log: list[Entry]) -> None:
    first, second = play(log), play(log)
    assert _written(first) == _written(second)
    assert first.books.written == second.books.written


@settings(max_examples=150, deadline=None)
@given(
    logs(
        ahead=[0, 1_000, 70_000, 16 * MINUTE, 40 * MINUTE, 3 * HOUR, 26 * HOUR, 8 * DAY, 36 * DAY]
    ),
    st.data(),
)
def test_a_restart_anywhere_changes_nothing(log: list[Entry], data: st.DataObject) -> None:
    # The log that is compared with closes its books at the same place, so nothing is left out.
    cuts = data.draw(st.sets(st.integers(0, len(log) - 1), max_size=3))
    stayed, restarted = play(log, close_after=cuts), play(log, restart_after=cuts)
    assert _written(restarted) == _written(stayed)
    assert restarted.books.spend_rows() == stayed.books.spend_rows()
    assert restarted.books.account_rows() == stayed.books.account_rows()


@CALM
@given(logs(), st.data())
def test_how_often_the_books_close_changes_nothing_else(
    log: list[Entry], data: st.DataObject
) -> None:
    cuts = data.draw(st.sets(st.integers(0, len(log) - 1)))
    once, often = play(log), play(log, close_after=cuts)
    assert (often.lines, often.verdicts, often.letters) == (
        once.lines,
        once.verdicts,
        once.letters,
    )
    assert entries_at_rest(often.books) == entries_at_rest(once.books)


@CALM
@given(logs(ahead=[0, 1_000, 7_000], late=[0, -MINUTE, -30 * MINUTE], commands=False), st.data())
def test_the_order_of_events_changes_no_total(log: list[Entry], data: st.DataObject) -> None:
    # Within five minutes: where the log stands decides whose clock is wrong.
    stamps = [entry.stamp_ms for entry in log]
    values = data.draw(st.permutations([entry.value for entry in log]))
    shuffled = [Entry("usage", value, at) for value, at in zip(values, stamps, strict=True)]
    one, other = play(_watched(log)), play(_watched(shuffled))
    assert sorted((c.id, c.time, c.cost) for c in one.log.charges()) == sorted(
        (c.id, c.time, c.cost) for c in other.log.charges()
    )
    assert sums_of_minutes(one) == sums_of_minutes(other)
    assert _windows(one) == _windows(other)


def _windows(outcome: Outcome) -> dict[tuple[object, ...], tuple[str, int, int]]:
    return {
        name: (row.spent, row.tokens, row.calls)
        for name, row in outcome.books.account_rows().items()
        if row.spent != "0.000000000000" or row.tokens or row.calls
    }


@CALM
@given(logs(ahead=[0, 1_000, 16 * MINUTE, 26 * HOUR], commands=False), st.data())
def test_a_duplicate_changes_nothing_but_counters(log: list[Entry], data: st.DataObject) -> None:
    """Each is sent again at once; its offset is taken in the other log by nothing."""
    again = data.draw(st.sets(st.integers(0, len(log) + 10)))
    twice, once = Log(now=T0), Log(now=T0)
    for at, entry in enumerate(_watched(log)):
        for played in (twice, once):
            played.now = entry.stamp_ms
            if entry.kind == "command":
                played.tell(entry.value)
            else:
                played.send(entry.value)
            if at in again and b'"id": "e' in entry.value:
                if played is twice:
                    played.send(entry.value)
                else:
                    played.offset += 1
    assert twice.lines == once.lines
    assert twice.verdicts == once.verdicts
    left, right = (entries_at_rest(played.close().books) for played in (twice, once))
    del left["position"], right["position"]
    assert left == right


@CALM
@given(logs(ahead=[0, 1_000, 16 * MINUTE, 40 * MINUTE, 26 * HOUR, 9 * DAY, 36 * DAY]))
def test_the_books_balance_to_the_last_digit(log: list[Entry]) -> None:
    outcome = play(_watched(log))
    charges = outcome.log.charges()
    assert sums_of_minutes(outcome) == oracle_minutes(charges)
    rows = outcome.books.account_rows()
    for workspace in ("acme", "beta"):
        own = [c for c in charges if c.workspace == workspace and c.kind != "loss"]
        for name, window, zone in WATCHED:
            expected: dict[str, int] = defaultdict(int)
            for c in own:
                expected[oracle_window(window, zone, parse_ms(c.time))] += parse_usd(c.cost)
            held: dict[str, int] = defaultdict(int)
            for row in rows.values():
                if row.workspace == workspace and row.budget_id == f"w-{name}":
                    start = T0 if row.window_start is None else parse_ms(row.window_start)
                    held[oracle_window(window, zone, start)] += parse_usd(row.spent)
            # Windows that had ended when the budget was made have no account.
            since = oracle_window(window, zone, T0)
            known = {w: s for w, s in expected.items() if w >= since}
            assert {w: s for w, s in held.items() if s} == {w: s for w, s in known.items() if s}


@CALM
@given(logs())
def test_versions_rise_for_each_subject_and_rule(log: list[Entry]) -> None:
    """Within one version a decision may only grow stronger: an agent may see any of them last."""
    strength = {"allow": 0, "warn": 1, "block": 2}
    newest: dict[str, tuple[tuple[int, int, int], int]] = {}
    for verdict in play(log).log.verdicts:
        if isinstance(verdict, Decision):
            key = control_key(verdict)
            now = (verdict.version, strength[verdict.action])
            assert now >= newest.get(key, now), key
            newest[key] = now


@CALM
@given(logs(commands=False))
def test_spending_more_never_softens_a_verdict(log: list[Entry]) -> None:
    held: dict[str, Decision] = {}
    for verdict in play(_watched(log)).log.verdicts:
        if not isinstance(verdict, Decision):
            continue
        key = control_key(verdict)
        before = held.get(key)
        held[key] = verdict
        if before is None or before.action != "block" or before.expires_at is None:
            assert before is None or before.action != "block" or verdict.action == "block"
            continue
        if parse_ms(before.expires_at) > parse_ms(verdict.issued_at):
            assert verdict.action == "block"
            assert verdict.expires_at is None or verdict.expires_at >= before.expires_at


@CALM
@given(
    st.lists(
        st.tuples(
            st.sampled_from([1_000, 30_000, 5 * MINUTE, 20 * MINUTE, 70 * MINUTE]),
            st.sampled_from([1, 20, 60, 100, 130]),
        ),
        max_size=30,
    )
)
def test_a_rolling_window_over_its_limit_is_always_blocked(spent: list[tuple[int, int]]) -> None:
    log = Log().set_budget(window="rolling:1h", limit_usd="1.00")
    past: list[tuple[int, int]] = []
    for ahead, cents in spent:
        now = log.now + ahead
        log.now = now
        # What stands before the event: the block must have lasted, not come back.
        inside = sum(amount for at, amount in past if at > now - HOUR)
        if inside >= 100:
            assert log.in_force() == "block"
        log.spend(f"{cents / 100:.2f}", at=now)
        past.append((now, cents))
        if inside + cents >= 100:
            assert log.in_force() == "block"


@CALM
@given(logs())
def test_every_finding_and_decision_is_of_a_record_in_the_log(log: list[Entry]) -> None:
    ids = {json.loads(entry.value)["id"] for entry in log if entry.value != b'{"agent":'}
    for verdict in play(log).log.verdicts:
        assert verdict.cause.event_id in ids
