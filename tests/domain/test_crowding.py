"""What leaves early when there is more than may be held: which, and what becomes of it."""

import json

import pytest

from ledgers import HOUR, MINUTE, T0, Log, budget, command, event, money
from tollway.contract.ledger_entries import HistoryEntry, PositionEntry
from tollway.domain import crowding
from tollway.domain.crowding import LIMITS, least_needed


def limit(monkeypatch: pytest.MonkeyPatch, kind: str, value: int) -> None:
    monkeypatch.setitem(LIMITS, kind, value)


def early(log: Log) -> dict[str, int]:
    counts = log.close().books.counts()
    return {name: count for name, count in counts.items() if name.startswith("early_")}


def history(log: Log) -> dict[str, list[int]]:
    """Cost, tokens and calls of each lane, by its dimensions that have a name."""
    held: dict[str, list[int]] = {}
    for entry in log.close().books.entries().values():
        if isinstance(entry, HistoryEntry):
            sums = held.setdefault(" ".join(filter(None, entry.dimensions)), [0, 0, 0])
            for quarter in entry.quarters:
                for at, amount in enumerate(quarter):
                    sums[at] += amount
    return held


def test_whoever_has_most_gives_way_and_of_those_what_is_needed_least() -> None:
    groups = [[5, 1, 9, 3, 7], [2, 4], [6]]
    assert least_needed(groups, 3, int) == [1, 3, 5]
    assert least_needed(groups, 4, int) == [1, 2, 3, 5]
    assert least_needed(groups, 8, int) == [*range(1, 8), 9]
    assert least_needed(groups, 0, int) == []
    assert least_needed([], 3, int) == []


def test_an_account_that_spent_least_of_its_limit_leaves_and_counts_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit(monkeypatch, crowding.ACCOUNTS, 3)
    log = Log().set_budget(match={"session": "*"}, window="total", limit_usd="1.00")
    for session, cost in (("a", "0.9"), ("b", "0.1"), ("c", "0.5"), ("d", "0.2")):
        log.spend(cost, session=session)
    held = {json.loads(subject)["session"] for subject, _ in log.close().books.accounts()}
    assert held == {"a", "c", "d"}
    assert early(log) == {"early_accounts": 1}

    log.spend("0.95", session="b")

    assert log.in_force(session="b") == "warn"
    assert log.spent(session="b") == "0.950000000000"


def test_a_block_outlives_the_account_that_caused_it(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, crowding.ACCOUNTS, 1)
    log = Log().set_budget(match={"session": "*"}, window="total", limit_usd="1.00")
    log.spend("1", session="a").spend("1.5", session="b")
    assert len(log.close().books.accounts()) == 1

    log.restart()

    assert (log.in_force(session="a"), log.in_force(session="b")) == ("block", "block")
    assert len(log.ledger.verdicts.standing) == 2
    # What it had spent when it was blocked says whether it holds under another limit.
    log.set_budget(match={"session": "*"}, window="total", limit_usd="0.50")
    assert (log.in_force(session="a"), log.in_force(session="b")) == ("block", "block")
    log.set_budget(match={"session": "*"}, window="total", limit_usd="1.20")
    assert (log.in_force(session="a"), log.in_force(session="b")) == ("allow", "block")
    log.tell(command("unblock", subject={"session": "b"}))
    assert log.in_force(session="b") == "allow"


def test_a_budget_with_few_accounts_keeps_them_beside_one_with_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit(monkeypatch, crowding.ACCOUNTS, 10)
    log = Log().set_budget(match={"agent": "*"}, window="total", limit_usd="1000")
    log.tell(
        command(
            "budget.set",
            budget={
                "id": "many",
                "match": {"session": "*"},
                "window": "total",
                "limit_usd": "0.01",
            },
        )
    )
    log.spend("0.000001", agent="first")
    for n in range(50):
        log.spend("0.02", agent="other", session=f"s{n}")
    assert len(log.close().books.accounts("cap")) == 2
    assert len(log.books.accounts("many")) <= 8
    assert log.spent(agent="first") == "0.000001000000"


def test_a_new_budget_that_would_hold_too_many_accounts_holds_those_that_spent_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit(monkeypatch, crowding.ACCOUNTS, 2)
    log = Log().set_budget(id="x", match={"agent": "nobody"})
    for agent, cost in (("a", "0.3"), ("b", "0.7"), ("c", "0.5")):
        log.spend(cost, agent=agent)
    log.set_budget(match={"agent": "*"}, window="day", limit_usd="1.00")
    held = {json.loads(subject)["agent"] for subject, _ in log.close().books.accounts()}
    assert held == {"b", "c"}


def test_lanes_are_remembered_without_their_user_then_without_a_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit(monkeypatch, crowding.LANES, 2)
    log = Log()
    for n in range(3):
        log.spend("0.1", user=f"u{n}", at=T0 + n)
    assert history(log) == {"bot": [200_000_000_000, 0, 2]}
    for n in range(3):
        log.spend("0.1", agent=f"a{n}", at=T0 + HOUR + n)
    log.send(b"x", at=T0 + 3 * HOUR)
    spent = history(log)
    assert sum(cost for cost, _, _ in spent.values()) == 600_000_000_000
    assert "" in spent
    assert early(log)["early_lanes"] >= 4


def test_a_budget_made_later_counts_also_what_is_remembered_without_a_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit(monkeypatch, crowding.LANES, 2)
    log = Log()
    for n in range(5):
        log.spend("0.1", agent=f"a{n}")
    log.set_budget(window="day", limit_usd="10")
    assert log.spent(start="2026-03-10T00:00:00.000Z") == "0.500000000000"


def test_a_norm_that_leaves_early_is_learned_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, crowding.NORMS, 2)
    log = Log()
    for n in range(4):
        log.spend("0.1", agent=f"a{n}", at=T0 + n)
    assert set(log.ledger.workspaces["acme"].norms) == {"a2", "a3"}
    log.spend("0.1", agent="a0", at=T0 + 5).close().restart()
    assert set(log.ledger.workspaces["acme"].norms) == {"a0", "a3"}
    assert early(log) == {"early_norms": 3}


def test_what_a_producer_sends_again_is_told_by_its_print_when_its_numbers_have_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit(monkeypatch, crowding.PRODUCERS, 1)
    log = Log()
    first = event(producer="p0", seq=0, cost="0.1")
    log.send(first).spend("0.1", producer="p1", seq=0).send(first)
    # Of a producer that may be known no number is missing.
    log.spend("0.1", producer="p2", seq=7)
    counts = log.close().books.counts()
    assert (counts["duplicates"], counts["missing"]) == (1, 0)
    assert log.ledger.sizes()["producers"] == 1


def test_of_a_producer_with_gaps_the_oldest_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, crowding.GAPS, 1)
    log = Log().spend("0.1", producer="p", seq=0).spend("0.1", producer="p", seq=2)
    log.spend("0.1", producer="p", seq=4)
    track = log.ledger.workspaces["acme"].producers["p"]
    assert (track.first, track.last) == ([3], [3])
    assert early(log) == {"early_gaps": 1}


def test_runs_idle_longest_leave_and_their_accounts_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, crowding.RUNS, 2)
    log = Log().set_budget(match={"session": "*"}, window="run", limit_usd="1.00")
    for n in range(3):
        log.spend("0.6", session=f"s{n}", at=T0 + n)
    assert {run for run, _ in log.ledger.workspaces["acme"].runs} == {"s1", "s2"}
    log.spend("0.6", session="s0", at=T0 + 9)
    assert log.in_force(session="s0") == "block"


def test_minutes_that_leave_early_are_added_up_by_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, crowding.MINUTES, 2)
    log = Log()
    for n in range(6):
        log.spend("0.1", agent=f"a{n % 3}", at=T0 + n * 1000)
    rows = log.close().books.spend_rows().values()
    assert sum(money(row.cost) for row in rows) == money("0.6")
    assert log.ledger.sizes()["minutes"] <= 2
    assert early(log)["early_minutes"] >= 1


def test_hours_that_leave_early_are_carried_for_budgets_without_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit(monkeypatch, crowding.HOURS, 2)
    log = Log()
    for n in range(5):
        log.spend("0.1", at=T0 + n * HOUR)
    log.set_budget(window="total", limit_usd="10")
    assert log.spent() == "0.500000000000"


def test_past_the_limit_of_verdicts_no_warning_is_given_and_every_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit(monkeypatch, crowding.VERDICTS, 1)
    log = Log().set_budget(match={"agent": "*"}, window="day", limit_usd="1.00")
    log.spend("1", agent="a").spend("0.8", agent="b").spend("1", agent="c")
    assert log.in_force(agent="b") == "allow"
    standing = {
        piece.decision.subject["agent"]: piece.decision.action
        for piece in log.ledger.verdicts.standing.values()
    }
    assert standing == {"a": "block", "c": "block"}
    # One of `b`, two of `c` on its way to the block.
    assert early(log) == {"early_verdicts": 3}


def test_a_workspace_for_which_nothing_is_set_leaves_whole_and_may_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit(monkeypatch, crowding.WORKSPACES, 2)
    log = Log().set_budget(window="total")
    for at, name in enumerate(("one", "two", "three")):
        log.spend("0.1", workspace=name, session="s", producer="p", seq=0, at=T0 + at * MINUTE)
    log.spend("0.2", at=T0 + 4 * MINUTE).close()
    assert set(log.ledger.workspaces) == {"acme", "two", "three"}
    assert log.spent() == "0.200000000000"
    assert [key for key in log.books.live if "|one|" in key] == []
    log.restart().spend("0.3", workspace="one", at=T0 + 5 * MINUTE).close()
    costs = [row.cost for row in log.books.spend_rows().values() if row.workspace == "one"]
    assert costs == ["0.100000000000", "0.300000000000"]


def test_a_workspace_with_a_budget_takes_no_other_ones_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit(monkeypatch, crowding.WORKSPACES, 2)
    log = Log()
    for name in ("w1", "w2", "w3"):
        log.tell(command("budget.set", workspace=name, budget=budget(window="total")))
    for name in ("plain", "other", "plain", "other"):
        log.spend("0.1", workspace=name, at=log.now + MINUTE)
    assert set(log.ledger.workspaces) == {"w1", "w2", "w3", "plain", "other"}
    assert early(log) == {}


def test_a_correction_downwards_opens_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, crowding.ACCOUNTS, 1)
    log = Log().set_budget(match={"user": "*"}, window="total", limit_usd="1.00")
    log.tell(command("policy.set", policy={"unpriced": "conservative"}))
    log.send(event(user="u", model="mystery", provider="acme", input_tokens=40_000))
    log.spend("0.9", user="v")
    rates = {"input": "0.1", "output": "0.1"}
    price = {"model": "mystery", "effective_from": "2020-01-01T00:00:00Z", "price": rates}
    log.tell(command("price.set", price=price))
    assert log.charges()[-1].kind == "adjustment"
    log.spend("1", user="u")
    assert log.spent(user="u") == "1.000000000000"
    assert log.in_force(user="u") == "block"


def test_what_left_early_is_counted_in_the_books(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, crowding.NORMS, 1)
    log = Log().spend("0.1", agent="a").spend("0.1", agent="b").close().restart()
    position = log.books.entries()["position"]
    assert isinstance(position, PositionEntry)
    assert position.counts["early_norms"] == 1
    assert log.ledger.counts["early_norms"] == 1
