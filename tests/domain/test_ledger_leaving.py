"""What grows has a bound: what is due writes its last words, then its tombstone."""

import json

import pytest

from ledgers import DAY, HOUR, MINUTE, T0, Log, command, event
from tollway.contract.ledger_entries import SpendEntry
from tollway.domain.agents import AgentNorm
from tollway.domain.crowding import LIMITS
from tollway.domain.ledger import Ledger
from tollway.domain.stateful import Wheel


def _words(log: Log, key: str) -> list[bool]:
    """Of one key, whether each record had a value, in the order written."""
    return [value is not None for name, value in log.books.written if name == key]


def _rows(log: Log) -> list[SpendEntry]:
    return sorted(log.books.spend_rows().values(), key=lambda row: row.opened_at_offset)


@pytest.mark.parametrize(("idle", "left"), [(15, False), (16, True)])
def test_a_minute_leaves_after_fifteen_minutes_of_log_time(idle: int, left: bool) -> None:
    log = Log().spend("1").close()
    (key,) = log.books.of("spend")
    log.send(b"x", at=T0 + idle * MINUTE).close()
    assert (key not in log.books.live) == left


def test_what_leaves_while_changed_says_its_last_words_first() -> None:
    log = Log().spend("1").spend("2")
    log.send(b"x", at=T0 + HOUR).close()
    key = next(name for name, _ in log.books.written if name.startswith("spend|"))
    assert _words(log, key) == [True, False]
    assert [row.cost for row in _rows(log)] == ["3.000000000000"]


def test_a_minute_that_is_touched_again_stays() -> None:
    log = Log().spend("1").close()
    log.send(event(T0, cost="1"), at=T0 + 10 * MINUTE)
    log.send(b"x", at=T0 + 20 * MINUTE).close()
    assert [row.cost for row in _rows(log)] == ["2.000000000000"]
    assert len(log.books.of("spend")) == 1


def test_a_late_event_opens_its_minute_anew_beside_the_first() -> None:
    log = Log().spend("1").close().send(event(T0, cost="2"), at=T0 + HOUR).close()
    rows = _rows(log)
    assert [(row.minute, row.cost, row.opened_at_offset) for row in rows] == [
        ("2026-03-10T12:00:00.000Z", "1.000000000000", 0),
        ("2026-03-10T12:00:00.000Z", "2.000000000000", 1),
    ]


def test_a_run_leaves_after_seven_idle_days() -> None:
    log = Log().spend("1", session="s").close()
    log.send(b"x", at=T0 + 7 * DAY).close()
    assert log.books.of("session") == ["session|acme|s|bot"]
    log.send(b"x", at=T0 + 7 * DAY + HOUR).close()
    assert log.books.of("session") == []
    assert _words(log, "session|acme|s|bot")[-1] is False


def test_a_run_that_goes_on_stays() -> None:
    log = Log()
    for day in range(12):
        log.spend("1", at=T0 + day * DAY, session="s")
    assert log.close().books.of("session") == ["session|acme|s|bot"]


@pytest.mark.parametrize(
    ("window", "match", "leaves_after"),
    [
        # Twelve hours to its end, and the 72 in which events of it may come.
        ("day", {}, 84 * HOUR),
        ("hour", {}, 73 * HOUR),
        ("run", {"session": "*"}, 7 * DAY),
        ("rolling:90m", {}, 74 * HOUR),
    ],
)
def test_an_account_leaves_when_nothing_can_be_booked_into_it(
    window: str, match: dict[str, str], leaves_after: int
) -> None:
    log = Log().set_budget(window=window, match=match).spend("0.1", session="s").close()
    (key,) = log.books.of("account")
    log.send(b"x", at=T0 + leaves_after - HOUR).close()
    assert log.books.of("account") == [key]
    log.send(b"x", at=T0 + leaves_after + 2 * HOUR).close()
    assert log.books.of("account") == []
    assert _words(log, key)[-1] is False
    assert log.ledger.workspaces["acme"].purses == {}


def test_a_total_never_leaves() -> None:
    log = Log().set_budget(window="total").spend("0.5").send(b"x", at=T0 + 400 * DAY)
    log.spend("0.5")
    assert log.in_force() == "block"


def test_history_is_kept_by_quarter_for_35_days_and_then_as_one_sum() -> None:
    log = Log().spend("1").spend("2", at=T0 + HOUR)
    log.send(b"x", at=T0 + 2 * HOUR).close()
    assert len(log.books.of("history")) == 2
    log.send(b"x", at=T0 + 36 * DAY).close()
    (key,) = log.books.of("history")
    assert key.endswith("|-1")
    assert json.loads(log.books.live[key])["quarters"][0][0] == 3 * 10**12


def test_a_verdict_that_has_lapsed_is_forgotten() -> None:
    log = Log().set_budget().spend("1").close()
    assert len(log.books.of("decision")) == 1
    log.send(b"x", at=T0 + 13 * HOUR).close()
    assert log.books.of("decision") == []


def test_what_comes_back_within_one_closing_is_there_after_it() -> None:
    log = Log().spend("1", session="s").close()
    log.send(b"x", at=T0 + 8 * DAY).spend("1", at=T0 + 8 * DAY, session="s").close()
    assert log.books.of("session") == ["session|acme|s|bot"]
    assert _words(log, "session|acme|s|bot") == [True, True, False, True]


def test_books_that_are_closed_twice_say_only_their_position_the_second_time() -> None:
    ledger: Ledger = Log().spend("1").ledger
    assert len(ledger.close()) > 1
    assert [key for key, _ in ledger.close()] == ["position"]


def test_a_jump_of_a_year_lets_everything_go_at_once() -> None:
    log = Log().set_budget(match={"session": "*"}, window="run")
    for n in range(50):
        log.spend("0.1", session=f"s{n}", producer=f"p{n}", seq=0)
    log.close().send(b"x", at=T0 + 365 * DAY).close()
    kinds = {key.split("|")[0] for key in log.books.live}
    assert kinds == {"document", "history", "position"}
    space = log.ledger.workspaces["acme"]
    assert (space.runs, space.producers, space.purses, space.parents) == ({}, {}, {}, {})


def test_a_norm_leaves_35_days_after_its_last_event() -> None:
    log = Log().spend("0.1").close()
    log.send(b"x", at=T0 + 35 * 24 * HOUR).close()
    assert log.books.of("norm") == ["norm|acme|bot"]
    log.send(b"x", at=T0 + 35 * 24 * HOUR + HOUR).close()
    assert log.books.of("norm") == []


def test_a_price_that_comes_when_the_window_has_left_leaves_its_row_as_it_was() -> None:
    log = (
        Log()
        .set_budget(window="day", limit_usd="10")
        .spend("1.5")
        .send(event(model="mystery", provider="acme", input_tokens=1_000))
        .close()
    )
    # Accounts wait 35 days for a price.
    log.send(event(T0 + 40 * DAY, cost="0"), at=T0 + 40 * DAY)

    log.tell(
        command(
            "price.set",
            price={
                "model": "mystery",
                "effective_from": "2020-01-01T00:00:00Z",
                "price": {"input": "100", "output": "200"},
            },
        )
    )

    assert [c.cost for c in log.charges() if c.kind == "adjustment"] == ["0.100000000000"]
    rows = [
        row
        for row in log.books.account_rows().values()
        if row.window_start == "2026-03-10T00:00:00.000Z"
    ]
    assert [row.spent for row in rows] == ["1.500000000000"]
    assert log.ledger.sizes()["accounts"] == len(log.books.accounts())


def test_what_left_early_is_gone_from_memory_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in LIMITS:
        monkeypatch.setitem(LIMITS, kind, 100)
    log = Log().set_budget(match={"user": "*"}, window="rolling:1h", limit_usd="1.00")
    log.send(
        *[
            event(user=f"u{n}", agent=f"a{n}", session=f"s{n}", producer=f"p{n}", seq=0, cost="1.0")
            for n in range(4_000)
        ]
    )
    log.close()
    sweeper = log.ledger.sweeper
    wheels = (sweeper.minutes, sweeper.runs, sweeper.norms, sweeper.producers, sweeper.accounts)
    for wheel in (*wheels, sweeper.history):
        assert sum(map(len, wheel.slots.values())) == wheel.listed <= 2 * 100
    assert len(log.ledger.workspaces["acme"].purses) <= 100


def test_a_piece_that_moves_on_each_hour_is_listed_once_now_and_then() -> None:
    wheel, piece = Wheel(), AgentNorm("acme", "bot")
    for slot in range(100_000):
        wheel.put(piece, slot)
    assert sum(map(len, wheel.slots.values())) == wheel.listed <= 10_004
    assert wheel.turn(99_998) == []
    assert wheel.turn(99_999) == [piece]
