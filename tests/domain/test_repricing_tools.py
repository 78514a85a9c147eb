"""A tool's price that is dated back: calls that were free by then are charged, once and exactly."""

import json
from typing import Any

import pytest

from ledgers import DAY, HOUR, MINUTE, T0, Log, command, event
from tollway.contract.charge import Charge
from tollway.contract.moments import format_ms
from tollway.domain.charging import MAX_PACK_BYTES
from tollway.domain.commanding import obey

TODAY = "2026-03-10T00:00:00.000Z"
LONG_AGO = "2020-01-01T00:00:00Z"


def _price(log: Log, usd: str = "0.4", tool: str = "serp", **fields: object) -> Log:
    price = {"tool": tool, "effective_from": LONG_AGO, "usd_per_call": usd} | fields
    return log.tell(command("tool_price.set", price=price))


def _call(at_ms: int = T0, **fields: object) -> bytes:
    return event(at_ms, **({"kind": "tool", "tool": "serp"} | fields))


def _adjustments(log: Log) -> list[Charge]:
    return [charge for charge in log.charges() if charge.kind == "adjustment"]


def _corrected(log: Log) -> list[str]:
    return [charge.adjusts for charge in _adjustments(log)]


def test_a_call_without_a_price_is_free_waits_for_nothing_and_blocks_nothing() -> None:
    log = Log().tell(command("policy.set", policy={"unpriced": "block"})).send(_call())
    (charge,) = log.charges()
    assert (charge.cost, charge.price_state) == ("0.000000000000", "free")
    assert log.close().books.counts()["unpriced"] == 0
    assert log.books.of("pending") == log.books.of("unpriced") == []
    assert log.verdicts == []


def test_a_price_dated_back_charges_the_calls_before_it_once() -> None:
    given: dict[str, Any] = {
        "session": "s",
        "customer": "k",
        "connection": "web",
        "tags": {"team": "x"},
    }
    log = Log().set_budget().send(_call(id="e1", result_tokens=9, **given))
    _price(log)
    first, adjustment = log.charges()
    assert (adjustment.kind, adjustment.adjusts, adjustment.id) == (
        "adjustment",
        "e1",
        "e1#price@1",
    )
    assert (adjustment.cost, adjustment.price_state, adjustment.price_source) == (
        "0.400000000000",
        "priced",
        "tool",
    )
    assert adjustment.time == first.time
    paying = ("agent", "session", "customer", "connection", "tool", "tags")
    assert [getattr(adjustment, name) for name in paying] == [
        getattr(first, name) for name in paying
    ]
    _price(log)
    _price(log, "0.9")
    assert len(log.charges()) == 2
    assert log.spent(start=TODAY) == "0.400000000000"
    assert log.books.of("free") == []


def test_an_adjustment_counts_no_call_twice_and_nothing_was_unpriced() -> None:
    log = _price(Log().set_budget().send(_call()))
    (row,) = log.books.spend_rows().values()
    assert (row.cost, row.events, row.calls, row.unpriced_events) == ("0.400000000000", 1, 1, 0)
    (account,) = log.books.accounts().values()
    assert (account.spent, account.calls, account.unpriced) == ("0.400000000000", 1, 0)


def test_a_price_from_now_on_leaves_what_was_before_it_as_it_is() -> None:
    log = Log().send(_call(T0 - 1, id="e1"), _call(T0, id="e2"))
    _price(log, effective_from=format_ms(T0))
    assert _corrected(log) == ["e2"]
    _price(log)
    assert _corrected(log) == ["e2", "e1"]


def test_a_price_is_of_its_tool_and_connection_in_its_workspace() -> None:
    log = Log().send(
        _call(id="e1"),
        _call(id="e2", connection="web"),
        _call(id="e3", tool="mail"),
        _call(id="e4", tool="mail", tags={"tool": "serp"}),
        _call(id="e5", workspace="beta"),
    )
    _price(log, connection="web")
    assert _corrected(log) == ["e2"]
    _price(log)
    assert _corrected(log) == ["e2", "e1"]


@pytest.mark.parametrize(
    "fields",
    [
        {"cost": "0"},
        {"cost": "0.1"},
        {"model": "small", "provider": "acme", "input_tokens": 10},
        {"kind": "outcome"},
        {"kind": "llm", "model": "small"},
    ],
)
def test_what_had_a_price_and_what_is_no_call_of_a_tool_keeps_its_cost(
    fields: dict[str, Any],
) -> None:
    log = Log().send(_call(**fields))
    assert _adjustments(_price(log)) == []


def test_a_tool_known_to_be_free_is_not_remembered() -> None:
    log = _price(Log().send(_call()), "0").send(_call())
    assert _adjustments(log) == []
    assert log.close().books.of("free") == []
    assert _adjustments(_price(log)) == []


def test_a_budget_blocks_by_what_the_adjustment_adds() -> None:
    log = Log().set_budget(match={"session": "*"}, window="run")
    log.send(_call(session="s"), _call(session="s"), _call(session="t"))
    assert log.decisions() == []
    _price(log, "0.5")
    assert log.in_force(session="s") == "block"
    assert log.in_force(session="t") == "allow"
    assert [d.cause.event_id for d in log.decisions()] == ["c1"] * 3


def test_a_budget_made_after_the_call_has_its_adjustment_too() -> None:
    log = Log().send(_call()).set_budget()
    assert _price(log).spent(start=TODAY) == "0.400000000000"


def test_a_call_that_waits_for_a_models_price_is_charged_by_its_tools() -> None:
    subject = {"model": "mystery", "provider": "acme"}
    used: dict[str, Any] = {**subject, "input_tokens": 9}
    log = Log().tell(command("policy.set", policy={"unpriced": "block"})).set_budget()
    log.send(_call(**used), event(**used, id="e2"))
    _price(log)
    assert [charge.cost for charge in _adjustments(log)] == ["0.400000000000"]
    assert log.in_force("unpriced", **subject) == "block"
    (row,) = log.books.of("unpriced")
    assert json.loads(log.books.live[row])["events"] == 1
    price = {"model": "mystery", "effective_from": LONG_AGO, "price": {"input": "1", "output": "1"}}
    log.tell(command("price.set", price=price))
    assert _corrected(log)[1:] == ["e2"]
    assert log.spent(start=TODAY) == "0.400009000000"
    assert log.in_force("unpriced", **subject) == "allow"


def test_an_estimate_that_a_tools_price_gives_back_unblocks() -> None:
    log = Log().tell(command("policy.set", policy={"unpriced": "conservative"})).set_budget()
    log.send(_call(model="mystery", input_tokens=150_000))
    assert log.in_force() == "block"
    assert _price(log).spent(start=TODAY) == "0.400000000000"
    assert log.in_force() == "allow"


def test_a_late_call_is_charged_to_the_window_that_it_belongs_to() -> None:
    log = Log().set_budget(window="hour").send(_call(T0 - 71 * HOUR, id="e1"))
    _price(log.send(_call(T0 + HOUR, id="e2"), at=T0 + HOUR - 1))
    assert _corrected(log) == ["e1", "e2"]
    assert log.spent(start=format_ms(T0 - 71 * HOUR)) == "0.400000000000"


def test_what_can_no_longer_be_booked_is_left_alone() -> None:
    """Its account may have left: brought back it would hold the correction alone."""
    log = Log().set_budget(window="hour").send(_call(T0 - 71 * HOUR), _call(T0 - HOUR, id="e2"))
    log.spend("1", at=T0 + 2 * HOUR)
    _price(log)
    assert _corrected(log) == ["e2"]


def test_what_is_remembered_leaves_after_72_hours() -> None:
    log = Log().send(_call()).close()
    (key,) = log.books.of("free")
    log.spend("1", at=T0 + 72 * HOUR - MINUTE).close()
    assert log.books.of("free") == [key]
    log.spend("1", at=T0 + 72 * HOUR).close()
    assert (key, None) in log.books.written
    assert log.books.of("free") == []
    assert log.ledger.pricer.free.size == 0


def test_past_the_limit_the_oldest_minute_leaves_wherever_the_books_were_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logs = (Log(), Log())
    for log in logs:
        log.send(_call(id="e1")).send(_call(id="e2"))
        if log is logs[0]:
            log.close()
        log.send(_call(id="e3"), at=T0 + MINUTE).send(_call(id="e4"), at=T0 + 2 * MINUTE)
    monkeypatch.setattr(
        "tollway.domain.free_calls.MAX_FREE_CALL_BYTES", logs[0].ledger.pricer.free.size
    )
    for log in logs:
        log.send(_call(id="e5")).close().restart()
        assert _corrected(_price(log)) == ["e3", "e4", "e5"]
        assert log.books.of("free") == []


def test_past_the_limit_within_a_minute_only_what_comes_then_is_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = Log().send(_call(id="e1")).close().send(_call(id="e2")).close()
    size = log.ledger.pricer.free.size
    assert log.restart().ledger.pricer.free.size == size
    monkeypatch.setattr("tollway.domain.free_calls.MAX_FREE_CALL_BYTES", size)
    log.send(_call(id="e3")).send(_call(id="e4"))
    assert _corrected(_price(log)) == ["e4"]


def test_another_owner_charges_what_is_left_in_the_order_of_the_log() -> None:
    log = Log().send(_call(id="e1"), _call(id="e2", tool="mail")).close().send(_call(id="e3"))
    log.send(_call(id="e4", tool="mail"), _call(T0 + HOUR, id="e5"), at=T0 + HOUR)
    _price(log, tool="mail")
    log.books.live = dict(sorted(log.books.live.items(), reverse=True))
    _price(log.restart())
    assert _corrected(log) == ["e2", "e4", "e1", "e3", "e5"]
    assert log.books.of("free") == []


def test_many_adjustments_and_many_free_calls_are_many_records() -> None:
    """A broker refuses a record above its limit, and the books with it, again and again."""
    tags = {f"tag{number}": "x" * 500 for number in range(16)}
    many = 2 * MAX_PACK_BYTES // 8_000
    log = Log().send(*(_call(tags=tags) for _ in range(many))).close()
    assert len(log.books.of("free")) > 1
    assert max(map(len, log.books.live.values())) < MAX_PACK_BYTES + 10_000
    price = {"tool": "serp", "effective_from": LONG_AGO, "usd_per_call": "1"}
    log.ledger.take_charges()
    obey(log.ledger, b"key", command("tool_price.set", price=price), 0, T0)
    packs = log.ledger.take_charges()
    assert sum(pack.count(b"\n") for pack in packs) == many
    assert max(map(len, packs)) < MAX_PACK_BYTES + 10_000


def test_a_correction_is_no_spend_of_what_an_agent_without_a_session_does_now() -> None:
    """What detectors know of such an agent ends with a pause; its budgets count all of it."""
    log = Log().tell(command("policy.set", policy={"run_budget_usd": "1"})).set_budget()
    log.send(_call()).send(_call(T0 + DAY), at=T0 + DAY)
    _price(log, "0.75")
    run = log.ledger.workspaces["acme"].runs["", "bot"]
    assert run.watch.spent_pico == 750_000_000_000
    assert log.spent(start=TODAY) == "0.750000000000"
