"""Models without a price: never free, and corrected to the last digit when a price comes."""

from typing import Any

import pytest

from ledgers import DAY, HOUR, MINUTE, T0, Log, command, event
from tollway.contract.moments import format_ms
from tollway.domain import crowding

TODAY = "2026-03-10T00:00:00.000Z"
LONG_AGO = "2020-01-01T00:00:00Z"


def _price(log: Log, model: str = "mystery", since: str = LONG_AGO, **fields: object) -> Log:
    price = {
        "model": model,
        "effective_from": since,
        "price": {"input": "100", "output": "200"},
    } | fields
    return log.tell(command("price.set", price=price))


def _unpriced(log: Log, mode: str) -> Log:
    return log.tell(command("policy.set", policy={"unpriced": mode}))


def _mystery(at_ms: int = T0, **fields: object) -> bytes:
    return event(
        at_ms, **({"model": "mystery", "provider": "acme", "input_tokens": 1_000} | fields)
    )


def test_an_unknown_model_is_pending_and_counted() -> None:
    log = Log().send(_mystery())
    (charge,) = log.charges()
    assert (charge.cost, charge.price_state) == ("0.000000000000", "unpriced")
    assert log.close().books.counts()["unpriced"] == 1
    assert [row.unpriced_events for row in log.books.spend_rows().values()] == [1]


def test_a_later_price_charges_the_difference_once() -> None:
    log = Log().set_budget().send(_mystery(id="e1"))
    _price(log)
    first, adjustment = log.charges()
    assert (adjustment.kind, adjustment.adjusts, adjustment.id) == (
        "adjustment",
        "e1",
        "e1#price@1",
    )
    assert (adjustment.cost, adjustment.time) == ("0.100000000000", first.time)
    assert (adjustment.input_tokens, adjustment.price_source) == (0, "override")
    assert log.spent(start=TODAY) == "0.100000000000"
    _price(log)
    assert len(log.charges()) == 2
    assert log.books.of("pending") == log.books.of("unpriced") == []


def test_an_adjustment_counts_no_event_and_no_token_twice() -> None:
    log = _price(Log().set_budget().send(_mystery()))
    rows = log.books.spend_rows().values()
    assert sum(row.events for row in rows) == 1
    assert sum(row.input_tokens for row in rows) == 1_000
    assert sum(row.unpriced_events for row in rows) == 0
    (account,) = log.books.accounts().values()
    assert (account.tokens, account.calls) == (1_000, 1)


def test_a_correction_of_a_minute_that_has_left_takes_no_ones_place() -> None:
    """Its accumulator is another one: under the same name it would replace the first."""
    log = Log().set_budget().send(_mystery(cost=None), event(model="small", cost="5"))
    log.send(event(T0 + HOUR), at=T0 + HOUR).close()
    _price(log)
    rows = log.books.spend_rows()
    assert sorted(row.cost for row in rows.values()) == [
        "0.000000000000",
        "0.000000000000",
        "0.100000000000",
        "5.000000000000",
    ]


def test_conservative_charges_the_dearest_of_the_provider_and_gives_the_rest_back() -> None:
    log = _unpriced(Log().set_budget(), "conservative").send(_mystery(input_tokens=90_000))
    (charge,) = log.charges()
    # `large`: 10 dollars a million.
    assert (charge.cost, charge.price_state) == ("0.900000000000", "conservative")
    assert log.in_force() == "warn"
    _price(log, price={"input": "1", "output": "1"})
    assert log.charges()[-1].cost == "-0.810000000000"
    assert log.spent(start=TODAY) == "0.090000000000"


@pytest.mark.parametrize("window", ["day", "rolling:1h"])
def test_who_was_blocked_by_an_estimate_is_unblocked_by_the_price(window: str) -> None:
    log = _unpriced(Log().set_budget(window=window), "conservative")
    log.send(_mystery(input_tokens=150_000))
    assert log.in_force() == "block"
    _price(log, price={"input": "1", "output": "1"})
    assert log.in_force() == "allow"


def test_a_price_above_the_estimate_can_block() -> None:
    log = _unpriced(Log().set_budget(), "conservative").send(_mystery(input_tokens=20_000))
    _price(log)
    assert log.in_force() == "block"


def test_block_blocks_the_model_until_it_has_a_price() -> None:
    subject = {"model": "mystery", "provider": "acme"}
    log = _unpriced(Log(), "block").send(_mystery(), _mystery())
    assert len(log.decisions("unpriced")) == 1
    assert log.in_force("unpriced", **subject) == "block"
    _price(log)
    assert log.in_force("unpriced", **subject) == "allow"


def test_a_price_from_today_unblocks_although_older_events_stay_unpriced() -> None:
    subject = {"model": "mystery", "provider": "acme"}
    log = _unpriced(Log(), "block").send(_mystery(T0 - HOUR))
    _price(log, since=format_ms(T0))
    assert log.in_force("unpriced", **subject) == "allow"
    assert len(log.charges()) == 1
    _price(log)
    assert len(log.charges()) == 2


def test_a_policy_that_no_longer_blocks_lifts_the_block() -> None:
    log = _unpriced(Log(), "block").send(_mystery())
    _unpriced(log, "pending")
    assert log.in_force("unpriced", model="mystery", provider="acme") == "allow"


def test_past_the_limit_events_are_charged_later_from_the_table_and_the_block_is_lifted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(crowding.LIMITS, crowding.PENDING, 1)
    log = _unpriced(Log(), "block").send(_mystery(), _mystery())
    assert len(log.close().books.of("pending")) == 1
    _price(log)
    assert log.in_force("unpriced", model="mystery", provider="acme") == "allow"
    assert len(log.charges()) == 3


def test_an_account_with_unpriced_events_stays_until_they_have_a_price() -> None:
    """Brought back after it left it would hold the correction alone, and replace the sum."""
    log = Log().set_budget(limit_usd="100").spend("5").send(_mystery())
    log.spend("1", at=T0 + 10 * DAY).close()
    _price(log)
    assert log.spent(start=TODAY) == "5.100000000000"
    log.spend("1", at=T0 + 11 * DAY).close()
    assert ("{}", TODAY) not in log.books.accounts()


def test_a_correction_does_not_bring_a_run_back() -> None:
    log = Log().send(_mystery(session="s", parent_session="p"))
    log.spend("1", at=T0 + 9 * DAY).close()
    assert log.books.of("session") == ["session|acme||bot"]
    _price(log)
    assert log.books.of("session") == ["session|acme||bot"]
    assert log.ledger.workspaces["acme"].parents == {}


def test_a_run_that_is_still_there_is_corrected() -> None:
    log = Log().set_budget(window="run", match={"session": "*"}).send(_mystery(session="s"))
    _price(log)
    assert log.spent(session="s") == "0.100000000000"


@pytest.mark.parametrize(
    ("fields", "cost", "state"),
    [
        (
            {"model": "small", "input_tokens": 1_000, "output_tokens": 10},
            "0.001020000000",
            "priced",
        ),
        ({"model": "mystery", "cost": "0.5"}, "0.500000000000", "explicit"),
        ({"model": "small", "input_tokens": 10, "cost": "0"}, "0.000000000000", "explicit"),
        ({"kind": "tool", "tool": "mail"}, "0.000000000000", "free"),
        ({"kind": "tool", "tool": "mail", "model": ""}, "0.000000000000", "free"),
        ({"kind": "tool", "model": "small", "input_tokens": 1_000_000}, "1.000000000000", "priced"),
        ({"kind": "outcome", "model": "mystery"}, "0.000000000000", "free"),
        ({"kind": "loss", "cost": "9", "lost": {"full": 3}}, "0.000000000000", "free"),
        ({"kind": "llm"}, "0.000000000000", "unpriced"),
    ],
)
def test_what_an_event_costs_and_why(fields: dict[str, Any], cost: str, state: str) -> None:
    log = Log().set_budget(window="total", limit_usd="1000").send(event(provider="acme", **fields))
    (charge,) = log.charges()
    assert (charge.cost, charge.price_state) == (cost, state)
    expected = {} if fields.get("kind") == "loss" else {("{}", None): cost}
    assert {k: a.spent for k, a in log.close().books.accounts().items()} == expected


def test_losses_are_counted_and_open_no_run() -> None:
    log = Log().send(
        event(kind="loss", session="s", parent_session="p", lost={"full": 3, "old": 4})
    )
    (charge,) = log.charges()
    assert charge.tags == {"lost_full": "3", "lost_old": "4"}
    assert log.close().books.counts()["lost"] == 7
    assert set(log.books.live) - set(log.books.of("fingerprints")) == {"position"}


def test_a_tool_costs_what_its_workspace_says_from_then_on() -> None:
    log = Log()
    for usd, since, extra in (
        ("0.01", LONG_AGO, {}),
        ("0.02", format_ms(T0), {}),
        ("0.05", LONG_AGO, {"connection": "crm"}),
    ):
        price = {"tool": "mail", "effective_from": since, "usd_per_call": usd} | extra
        log.tell(command("tool_price.set", price=price))
    log.send(
        event(T0 - 1, kind="tool", tool="mail"),
        event(T0, kind="tool", tool="mail"),
        event(T0, kind="tool", tool="mail", connection="crm"),
        event(T0, kind="tool", tool="fax"),
        event(T0, kind="tool", tool="mail", cost="7"),
    )
    assert [c.cost[:4] for c in log.charges()] == ["0.01", "0.02", "0.05", "0.00", "7.00"]
    log.restart().send(event(T0 - 2, kind="tool", tool="mail"))
    assert log.charges()[-1].cost[:4] == "0.01"


def test_a_price_of_ones_own_holds_between_its_dates() -> None:
    log = _price(
        Log(),
        "small",
        since=format_ms(T0),
        effective_to=format_ms(T0 + HOUR),
        price={"input": "7", "output": "7"},
    )
    million = {"model": "small", "provider": "acme", "input_tokens": 1_000_000}
    log.send(event(T0 - 1, **million), event(T0, **million), at=T0)
    log.send(event(T0 + HOUR - 1, **million), event(T0 + HOUR, **million), at=T0 + HOUR)
    assert [c.cost[:2] for c in log.charges()] == ["1.", "7.", "7.", "1."]


def test_a_price_that_begins_later_today_is_no_price_now_and_one_then() -> None:
    log = _price(Log(), since=format_ms(T0 + HOUR))
    log.send(_mystery(T0)).send(_mystery(T0 + HOUR), at=T0 + HOUR).send(_mystery(T0 + MINUTE))
    assert [c.price_state for c in log.charges()] == ["unpriced", "priced", "unpriced"]


def test_a_later_command_wins_over_an_earlier_one_also_after_a_restart() -> None:
    log = _price(_price(Log(), price={"input": "5", "output": "5"}), since="2020-01-02T00:00:00Z")
    _price(log, price={"input": "6", "output": "6"})
    for _ in range(2):
        log.send(_mystery(input_tokens=1_000_000))
        assert log.charges()[-1].cost == "100.000000000000"
        log.close().restart()


@pytest.mark.parametrize(
    ("held", "deleted"),
    [
        ({"model": "Mystery"}, {"model": "mystery"}),
        ({"model": "mystery", "provider": "ACME"}, {"model": "mystery", "provider": "acme"}),
        ({"model": "mystery", "provider": "Own"}, {"model": "MYSTERY", "provider": "own "}),
    ],
)
def test_a_deleted_price_stays_deleted_after_a_restart(
    held: dict[str, str], deleted: dict[str, str]
) -> None:
    log = _price(Log(), **held).tell(command("price.delete", **deleted))
    assert log.books.of("document") == []
    log.restart().send(_mystery(provider=held.get("provider", "acme")))
    assert log.charges()[-1].price_state == "unpriced"


@pytest.mark.parametrize(
    ("kept", "deleted"),
    [
        ({"model": "a@b"}, {"model": "a"}),
        ({"model": "y/z", "provider": "x"}, {"model": "z", "provider": "x/y"}),
        ({"model": "m", "provider": "*"}, {"model": "m"}),
    ],
)
def test_deleting_a_price_leaves_those_of_other_names(
    kept: dict[str, Any], deleted: dict[str, str]
) -> None:
    log = _price(Log(), **kept).tell(command("price.delete", **deleted))
    log.restart().send(event(input_tokens=1, **kept))
    assert log.charges()[-1].price_state == "priced"


def test_prices_of_two_providers_are_two_documents() -> None:
    log = _price(_price(Log(), "z", provider="x/y"), "y/z", provider="x")
    assert len(log.books.of("document")) == 2


def test_one_price_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollway.domain.prices.book.MAX_PRICES_PER_WORKSPACE", 1)
    log = _price(_price(Log(), "a"), "b")
    (letter,) = log.letters
    assert "prices, the most there may be" in letter.detail
    assert len(log.books.of("document")) == 1
