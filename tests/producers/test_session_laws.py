"""What holds for every session, whatever is spent in whatever order."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway import meter
from tollway.producers.local.session import Session
from tollway.producers.testing import metered

pytestmark = pytest.mark.filterwarnings("ignore::tollway.producers.errors.SpendWarning")

PICO = Decimal(10) ** -12
amounts = st.integers(0, 10**13).map(lambda pico: f"{pico * PICO:f}")
# Which of the tree's sessions spends, how much, under which id.
spends = st.lists(st.tuples(st.integers(0, 4), amounts, st.integers(0, 20)), max_size=40)


def a_tree(budget: str) -> list[Session]:
    root = meter.session(budget, session="root")
    left, right = root.child(budget=budget), root.child()
    return [root, left, right, left.child(), right.child(budget="0.5")]


def play(tree: list[Session], said: list[tuple[int, str, int]]) -> None:
    for whose, cost, number in said:
        with tree[whose]._attribution:
            meter.record(kind="tool", tool="t", cost=cost, source="law", id=f"{whose}-{number}")


@given(spends, amounts)
def test_a_parent_has_spent_exactly_what_it_and_its_children_spent(
    said: list[tuple[int, str, int]], budget: str
) -> None:
    with metered(workspace="acme", agent="bot"):
        tree = a_tree(budget)
        play(tree, said)

        first: dict[tuple[int, int], Decimal] = {}
        for whose, cost, number in said:
            first.setdefault((whose, number), Decimal(cost))
        own = [
            sum((c for (w, _), c in first.items() if w == each), Decimal(0)) for each in range(5)
        ]
        assert tree[3].spent == own[3]
        assert tree[4].spent == own[4]
        assert tree[1].spent == own[1] + own[3]
        assert tree[2].spent == own[2] + own[4]
        assert tree[0].spent == sum(own)


@given(spends, amounts)
def test_duplicates_change_nothing(said: list[tuple[int, str, int]], budget: str) -> None:
    with metered(workspace="acme", agent="bot"):
        once, twice = a_tree(budget), a_tree(budget)
        play(once, said)
        play(twice, said + said[::-1])

        assert [s.spent for s in once] == [s.spent for s in twice]
        assert [s.state()["blocked_by"] for s in once] == [s.state()["blocked_by"] for s in twice]


@given(spends, amounts)
def test_nobody_has_more_left_than_its_parent(
    said: list[tuple[int, str, int]], budget: str
) -> None:
    with metered(workspace="acme", agent="bot"):
        tree = a_tree(budget)
        play(tree, said)

        root, left, right, left_child, right_child = (s.remaining for s in tree)
        assert root is not None
        for child in (left, right, left_child, right_child):
            assert child is not None
            assert child <= root
        assert left is not None
        assert left_child is not None
        assert left_child <= left


@given(spends, amounts, amounts)
def test_spending_more_never_softens_a_verdict(
    said: list[tuple[int, str, int]], budget: str, more: str
) -> None:
    with metered(workspace="acme", agent="bot"):
        tree = a_tree(budget)
        play(tree, said)
        before = [blocked(s) for s in tree]
        play(tree, [(3, more, 99)])

        assert all(now or not then for then, now in zip(before, map(blocked, tree), strict=True))


def blocked(session: Session) -> bool:
    try:
        session.check()
    except meter.CallBlocked:
        return True
    return False


@given(spends)
def test_a_report_balances(said: list[tuple[int, str, int]]) -> None:
    with metered(workspace="acme", agent="bot"):
        tree = a_tree("3")
        play(tree, said)

        for session in tree:
            report = session.report()
            costs = [event["cost"] or Decimal(0) for event in report["events"]]
            parts = [part["total"] for part in report["breakdown"].values()]
            assert sum(costs) == sum(parts) == report["total_spent"] == session.spent
