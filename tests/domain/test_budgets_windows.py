"""Windows of budgets at work: zones, rolling windows, and what late and skewed events do."""

import pytest

from ledgers import DAY, HOUR, MINUTE, T0, Log, command, event
from tollway.contract.control import Finding
from tollway.contract.moments import format_ms, parse_ms

TODAY = "2026-03-10T00:00:00.000Z"
YESTERDAY = "2026-03-09T00:00:00.000Z"


@pytest.mark.parametrize(
    ("window", "zone", "first", "second", "parted"),
    [
        ("hour", "UTC", "2026-03-10T12:59:59Z", "2026-03-10T13:00:00Z", True),
        ("hour", "Asia/Kolkata", "2026-03-10T12:59:59Z", "2026-03-10T13:00:00Z", False),
        ("hour", "Asia/Kolkata", "2026-03-10T13:29:59Z", "2026-03-10T13:30:00Z", True),
        ("hour", "Asia/Kathmandu", "2026-03-10T13:14:59Z", "2026-03-10T13:15:00Z", True),
        ("hour", "Europe/Berlin", "2026-10-25T00:59:59Z", "2026-10-25T01:00:00Z", True),
        ("day", "UTC", "2026-03-10T23:59:59Z", "2026-03-11T00:00:00Z", True),
        ("day", "Europe/Berlin", "2026-03-10T23:59:59Z", "2026-03-11T00:00:00Z", False),
        ("day", "Europe/Berlin", "2026-03-29T21:59:59Z", "2026-03-29T22:00:00Z", True),
        ("day", "Europe/Berlin", "2026-10-25T22:00:00Z", "2026-10-25T22:59:59Z", False),
        ("day", "Europe/Berlin", "2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z", True),
        ("day", "America/St_Johns", "2026-03-11T02:29:59Z", "2026-03-11T02:30:00Z", True),
        ("day", "Pacific/Apia", "2026-03-11T10:59:59Z", "2026-03-11T11:00:00Z", True),
        ("week", "UTC", "2026-03-15T23:59:59Z", "2026-03-16T00:00:00Z", True),
        ("week", "UTC", "2026-03-14T23:59:59Z", "2026-03-15T00:00:00Z", False),
        ("month", "UTC", "2026-03-31T23:59:59Z", "2026-04-01T00:00:00Z", True),
        ("month", "Europe/Berlin", "2026-03-31T21:59:59Z", "2026-03-31T22:00:00Z", True),
        ("total", "UTC", "2026-03-10T12:00:00Z", "2026-12-31T23:00:00Z", False),
    ],
)
def test_a_window_begins_anew_at_its_zones_edge(
    window: str, zone: str, first: str, second: str, parted: bool
) -> None:
    log = Log(now=parse_ms(first)).set_budget(window=window, zone=zone)
    log.spend("0.6", at=parse_ms(first)).spend("0.6", at=parse_ms(second))
    assert log.in_force() == ("allow" if parted else "block")


def test_a_block_lapses_with_its_window_and_each_window_fires_its_own() -> None:
    log = Log().set_budget().spend("1")
    assert log.in_force() == "block"
    log.now = T0 + 12 * HOUR
    assert log.in_force() == "allow"
    log.spend("1", at=T0 + 13 * HOUR)
    assert log.said() == [("warn", 70), ("warn", 90), ("block", 100)] * 2


def test_a_run_is_a_window_without_an_end() -> None:
    log = Log().set_budget(window="run", match={"session": "*"}).spend("0.6", session="s")
    log.spend("0.6", at=T0 + 3 * DAY, session="s").spend("0.6", session="t")
    assert log.in_force(session="s") == "block"
    assert log.in_force(session="t") == "allow"
    assert log.decisions()[-1].window_start is None


def test_a_rolling_window_forgets_what_is_older_than_its_length() -> None:
    log = Log().set_budget(window="rolling:1h", match={"agent": "*"})
    log.spend("0.6").spend("0.3", at=T0 + 50 * MINUTE)
    assert log.said() == [("warn", 70), ("warn", 90)]
    log.spend("0.3", at=T0 + 62 * MINUTE)
    assert log.spent(agent="bot") == "0.600000000000"
    log.spend("0.4", at=T0 + 63 * MINUTE)
    assert log.in_force(agent="bot") == "block"


def test_a_rolling_block_ends_when_enough_has_rolled_out() -> None:
    log = Log().set_budget(window="rolling:1h").spend("0.5").spend("0.6", at=T0 + 30 * MINUTE)
    assert log.decisions()[-1].expires_at == format_ms(T0 + 61 * MINUTE)


def test_what_is_spent_during_a_rolling_block_prolongs_it() -> None:
    log = Log().set_budget(window="rolling:1h").spend("1")
    assert log.decisions()[-1].expires_at == format_ms(T0 + 61 * MINUTE)
    log.spend("1", at=T0 + 40 * MINUTE)
    assert log.decisions()[-1].expires_at == format_ms(T0 + 101 * MINUTE)
    log.now = T0 + 70 * MINUTE
    assert log.in_force() == "block"


def test_a_rolling_window_blocks_anew_after_all_has_rolled_out() -> None:
    log = Log().set_budget(window="rolling:1h").spend("1").spend("1", at=T0 + 2 * HOUR)
    assert log.in_force() == "block"


def test_a_higher_threshold_does_not_shorten_a_rolling_block() -> None:
    log = Log().set_budget(window="rolling:1h", thresholds_percent=[100, 150])
    log.spend("1").spend("0.6", at=T0 + 30 * MINUTE)
    log.now = T0 + 60 * MINUTE
    assert log.in_force() == "block"


def test_a_late_event_counts_to_the_window_in_which_it_happened() -> None:
    log = Log().set_budget().spend("0.5")
    log.send(event(T0 - 13 * HOUR, cost="0.4"), event(T0, cost="0.1"))
    assert log.spent(start=TODAY) == "0.600000000000"
    # The window had ended when the budget was made ... at the beginning of time: it counts.
    assert log.spent(start=YESTERDAY) == "0.400000000000"


def test_a_late_event_blocks_nobody_for_a_window_that_is_over() -> None:
    log = Log().set_budget().spend("0.1").send(event(T0 - 13 * HOUR, cost="9"))
    assert log.said() == []


def test_windows_that_had_ended_when_the_budget_was_made_have_no_account() -> None:
    log = Log().spend("0.1").set_budget().send(event(T0 - 13 * HOUR, cost="9"))
    log.close()
    assert list(log.books.accounts()) == [("{}", TODAY)]


def test_a_block_of_tomorrow_is_not_shortened_by_one_of_today() -> None:
    """A clock may be four minutes fast, so two windows can be spent into at once."""
    late = parse_ms("2026-03-10T23:58:00Z")
    log = Log(now=late).set_budget().spend("0", at=late)
    log.send(event(late + 4 * MINUTE, cost="2"))
    log.send(event(late, cost="2"))
    log.now = late + 10 * MINUTE
    assert log.in_force() == "block"


@pytest.mark.parametrize(
    ("shift", "skewed"),
    [
        (5 * MINUTE, False),
        (5 * MINUTE + 1, True),
        (300 * DAY, True),
        (-72 * HOUR, False),
        (-72 * HOUR - 1, True),
        (-20_000 * DAY, True),
    ],
)
def test_a_skewed_clock_is_booked_at_broker_time_with_its_own_beside_it(
    shift: int, skewed: bool
) -> None:
    said = format_ms(T0 + shift)
    log = Log().send(event(time=said, cost="1"))
    (charge,) = log.charges()
    assert (charge.skewed, charge.event_time) == ((True, said) if skewed else (False, ""))
    assert charge.time == (format_ms(T0) if skewed else said)
    assert log.close().books.counts()["skewed"] == skewed


@pytest.mark.parametrize(("age", "late"), [(15 * MINUTE, False), (16 * MINUTE, True)])
def test_an_event_of_a_minute_that_has_left_is_late(age: int, late: bool) -> None:
    log = Log().send(event(T0 - age))
    assert (log.charges()[0].late, log.close().books.counts()["late"]) == (late, late)


def test_a_finding_has_the_time_at_which_its_event_is_booked() -> None:
    log = Log().tell(command("policy.set", policy={"run_budget_usd": "1"}))
    log.send(event(time="2026-03-10T17:30:00+05:30", cost="5", session="s"))
    log.send(event(time="2031-01-01T00:00:00Z", cost="500", session="t"))
    times = {verdict.time for verdict in log.verdicts if isinstance(verdict, Finding)}
    assert times == {format_ms(T0)}
