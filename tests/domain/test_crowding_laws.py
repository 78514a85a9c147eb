"""Laws of the ledger where state leaves early, because there is more than may be held."""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from crowds import crowded_log, few
from ledgers import T0, command, event
from logs import Entry, Outcome, play, sums_of_minutes
from naive_sums import oracle_minutes
from tollway.contract.money import parse_usd
from tollway.domain.crowding import LANES, LIMITS, PENDING, ROUTES, VERDICTS, WORKSPACES

CALM = settings(max_examples=50, deadline=None)
RANDOMS = st.randoms(use_true_random=True)


@contextmanager
def held_to(limits: dict[str, int]) -> Iterator[None]:
    with patch.dict(LIMITS, limits):
        yield


def _written(outcome: Outcome) -> tuple[object, ...]:
    return outcome.lines, outcome.verdicts, outcome.letters, outcome.books.live


def _held(outcome: Outcome) -> dict[str, int]:
    """How much is held of what is in the books; routes are looked up anew after a restart."""
    sizes = outcome.log.ledger.sizes()
    del sizes[ROUTES]
    return sizes


def _cuts(random: Random, log: list[Entry]) -> set[int]:
    return set(random.sample(range(len(log)), random.randint(1, 5)))


@settings(max_examples=150, deadline=None)
@given(RANDOMS)
def test_a_restart_anywhere_changes_nothing(random: Random) -> None:
    log = crowded_log(random)
    cuts = _cuts(random, log)
    with held_to(few(random)):
        stayed, restarted = play(log, close_after=cuts), play(log, restart_after=cuts)
    assert _written(restarted) == _written(stayed)
    assert restarted.books.spend_rows() == stayed.books.spend_rows()
    assert restarted.books.account_rows() == stayed.books.account_rows()
    assert _held(restarted) == _held(stayed)


@CALM
@given(RANDOMS)
def test_minutes_balance_to_the_last_digit(random: Random) -> None:
    with held_to(few(random)):
        outcome = play(crowded_log(random))
    assert sums_of_minutes(outcome) == oracle_minutes(outcome.log.charges())


@CALM
@given(RANDOMS)
def test_no_more_is_held_than_the_limit(random: Random) -> None:
    limits = few(random)
    log = crowded_log(random)
    # What commands open finds no room made for it: that is for the event that comes next.
    last = log[-1].stamp_ms
    log.append(Entry("usage", event(last, agent="new", session="new", producer="new", seq=9), last))
    with held_to(limits):
        ledger = play(log).log.ledger
    sizes = ledger.sizes()
    # What people have set stays, and each workspace remembers what it spent, beside the newest.
    limits[WORKSPACES] += sum(1 for space in ledger.workspaces.values() if space.documents)
    standing = ledger.verdicts.standing.values()
    limits[VERDICTS] += sum(1 for piece in standing if piece.decision.action == "block")
    limits[LANES] = max(limits[LANES], sizes[WORKSPACES] + 1)
    assert {kind: sizes[kind] for kind in limits if sizes[kind] > limits[kind]} == {}


@CALM
@given(RANDOMS)
def test_what_leaves_early_changes_no_charge(random: Random) -> None:
    log, limits = crowded_log(random), few(random)
    # Who waits for a price and is let go is not charged what it is.
    del limits[PENDING], limits[WORKSPACES]
    with held_to(limits):
        crowded = play(log)
    assert crowded.lines == play(log).lines


@CALM
@given(RANDOMS)
def test_no_account_has_more_than_was_spent(random: Random) -> None:
    # A budget has no beginning before the log has.
    log = [Entry("usage", b"{}", T0), *_watched(), *crowded_log(random, commands=False)]
    with held_to(few(random)):
        crowded = play(log).books.account_rows()
    plenty = play(log).books.account_rows()
    for name, row in crowded.items():
        assert parse_usd(row.spent) <= parse_usd(plenty[name].spent)


def _watched() -> list[Entry]:
    told = [
        {"id": f"{window}-{at}", "match": match, "window": window, "limit_usd": "1"}
        for window in ("hour", "day", "total")
        for at, match in enumerate(({}, {"agent": "*"}, {"session": "*"}, {"user": "*"}))
    ]
    return [Entry("command", command("budget.set", budget=budget), T0) for budget in told]
