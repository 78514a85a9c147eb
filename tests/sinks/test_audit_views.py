"""The audit's views, against books that the real ledger kept."""

import json

import msgspec
import pytest

from sinks_fakes import record
from tollway.contract.moments import format_ms, parse_ms
from tollway.domain.commanding import obey
from tollway.domain.ledger import Ledger
from tollway.domain.prices import Catalogue, PriceBook
from tollway.sinks.clickhouse import ClickHouseStore, Client
from tollway.sinks.records import Record
from tollway.sinks.rows import rows_of

MINUTE = 60_000
HOUR = 60 * MINUTE


class Books:
    """One partition's books from 22:00 UTC on, and what they wrote to the topics."""

    def __init__(self) -> None:
        self.ledger = Ledger(0, 1, PriceBook(Catalogue("1", {}, "none")))
        self.now_ms = parse_ms("2026-03-10T22:00:00.000Z")
        self.written: list[Record] = []
        self.events = 0
        self.commands = 0

    def spend(self, cost: str, *, ago_ms: int = 0, **fields: str) -> None:
        event = {
            "id": f"e{self.events}",
            "time": format_ms(self.now_ms - ago_ms),
            "workspace": "acme",
            "agent": "bot",
            "cost": cost,
            **fields,
        }
        self.ledger.apply([json.dumps(event).encode()], [b"acme"], [self.events], [self.now_ms])
        self.events += 1

    def command(self, document: dict[str, object]) -> None:
        document = {
            "id": f"c{self.commands}",
            "time": format_ms(self.now_ms),
            "workspace": "acme",
            **document,
        }
        value = json.dumps(document).encode()
        self.close()
        obey(self.ledger, b"acme", value, self.commands, self.now_ms)
        self.written.append(record("tollway.commands", value, offset=self.commands))
        self.commands += 1

    def budget(self, name: str, match: dict[str, str], window: str = "day", **more: str) -> None:
        budget = {"id": name, "match": match, "window": window, "limit_usd": "1000", **more}
        self.command({"type": "budget.set", "budget": budget})

    def close(self) -> None:
        chunk = b"".join(self.ledger.take_charges())
        self.written.append(record("tollway.charges", chunk))
        for key, entry in self.ledger.close():
            value = None if entry is None else msgspec.json.encode(entry)
            self.written.append(record("tollway.ledger", value, key=key.encode()))

    def store(self, client: Client) -> None:
        self.close()
        store = ClickHouseStore(client)
        for written in self.written:
            for line in rows_of(written):
                store.insert(line.table, line.body)


@pytest.fixture
def books() -> Books:
    return Books()


def accounts(client: Client) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """(charges, difference) of each audited window, by budget and subject."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for budget_id, subject, charged, difference in client.query(
        "SELECT budget_id, subject, toString(charges), toString(difference)"
        " FROM audit_accounts ORDER BY budget_id, subject, window_start"
    ).result_rows:
        found.setdefault((budget_id, subject), []).append((charged, difference))
    return found


def unequal_hours(client: Client) -> list[tuple[object, ...]]:
    query = "SELECT toHour(hour), toString(difference) FROM audit_hours WHERE difference != 0"
    return [tuple(row) for row in client.query(query).result_rows]


def test_books_of_every_shape_of_budget_balance_to_the_last_digit(
    embedded: Client, books: Books
) -> None:
    books.spend("0.000000000001", model="m1", session="run-1", customer="acme")
    books.budget("berlin", {}, "day", zone="Europe/Berlin")
    books.budget("hourly", {"agent": "*"}, "hour", zone="Asia/Kathmandu")
    books.budget("run", {"session": "*"}, "run")
    books.budget("all", {"customer": "acme"}, "total")
    books.budget("weekly", {"agent": "bot", "model": "*"}, "week")
    books.budget("rolling", {}, "rolling:1h")
    books.now_ms += 30 * MINUTE
    books.spend("1.000000000010", model="m1", session="run-1", customer="acme")
    books.spend("1.000000000100", model="m2", session="run-2", agent="clerk")
    # Past midnight in Berlin, not yet in Greenwich.
    books.now_ms += HOUR
    books.spend("2.000000001000", model="m2", session="run-1")
    # Late: its minute has left, its windows have not.
    books.spend("4.000000010000", ago_ms=80 * MINUTE, model="m1", session="run-1")

    books.store(embedded)

    assert unequal_hours(embedded) == []
    assert accounts(embedded) == {
        ("all", "customer=acme"): [("1.000000000011", "0")],
        ("berlin", "*"): [("6.000000010111", "0"), ("2.000000001", "0")],
        ("hourly", "agent=bot"): [
            ("4.000000010001", "0"),
            ("1.00000000001", "0"),
            ("2.000000001", "0"),
        ],
        ("hourly", "agent=clerk"): [("1.0000000001", "0")],
        ("run", "session=run-1"): [("7.000000011011", "0")],
        ("run", "session=run-2"): [("1.0000000001", "0")],
        ("weekly", "agent=bot&model=m1"): [("5.000000010011", "0")],
        ("weekly", "agent=bot&model=m2"): [("2.000000001", "0")],
    }


def test_a_charge_that_is_missing_is_named_by_its_hour_and_by_each_account(
    embedded: Client, books: Books
) -> None:
    books.budget("day", {})
    books.budget("agents", {"agent": "*"})
    books.spend("1")
    books.spend("0.000000000007", agent="clerk")
    books.store(embedded)

    embedded.command("DELETE FROM charges WHERE agent = 'clerk'")

    assert unequal_hours(embedded) == [(22, "-0.000000000007")]
    assert accounts(embedded) == {
        ("agents", "agent=bot"): [("1", "0")],
        ("agents", "agent=clerk"): [("0", "-0.000000000007")],
        ("day", "*"): [("1", "-0.000000000007")],
    }


def test_a_window_that_had_ended_before_its_budget_was_made_is_not_audited(
    embedded: Client, books: Books
) -> None:
    books.spend("1")
    books.now_ms += 2 * HOUR
    books.budget("hourly", {}, "hour")
    books.spend("2")
    books.spend("4", ago_ms=2 * HOUR)

    books.store(embedded)

    assert accounts(embedded) == {("hourly", "*"): [("2", "0")]}


def test_an_edited_limit_keeps_its_windows_and_a_new_match_begins_anew(
    embedded: Client, books: Books
) -> None:
    books.budget("cap", {}, "hour")
    books.spend("1")
    books.now_ms += HOUR
    books.budget("cap", {}, "hour", limit_usd="7")
    books.spend("2")
    books.store(embedded)
    assert accounts(embedded) == {("cap", "*"): [("1", "0"), ("2", "0")]}

    books.now_ms += HOUR
    books.budget("cap", {"agent": "*"}, "hour", limit_usd="7")
    books.spend("4")
    books.store(embedded)

    assert accounts(embedded) == {("cap", "agent=bot"): [("4", "0")]}


def test_a_deleted_budget_is_not_audited(embedded: Client, books: Books) -> None:
    books.budget("cap", {})
    books.spend("1")
    books.command({"type": "budget.delete", "budget_id": "cap"})
    books.spend("2")

    books.store(embedded)

    assert accounts(embedded) == {}


def test_a_run_with_children_is_left_out_and_its_children_are_not(
    embedded: Client, books: Books
) -> None:
    books.budget("run", {"session": "*"}, "run")
    books.spend("1", session="parent")
    books.spend("2", session="child", parent_session="parent")

    books.store(embedded)

    assert accounts(embedded) == {("run", "session=child"): [("2", "0")]}


def test_runs_from_before_a_budget_over_runs_and_customers_are_left_out(
    embedded: Client, books: Books
) -> None:
    books.spend("1", session="old", customer="acme")
    books.now_ms += 15 * MINUTE
    books.budget("run", {"session": "*", "customer": "*"}, "run")
    books.now_ms += 15 * MINUTE
    books.spend("2", session="old", customer="acme")
    books.spend("4", session="new", customer="acme")

    books.store(embedded)

    assert accounts(embedded) == {("run", "customer=acme&session=new"): [("4", "0")]}


def test_an_event_priced_later_balances_too(embedded: Client, books: Books) -> None:
    books.budget("cap", {})
    event = {"id": "u", "time": format_ms(books.now_ms), "workspace": "acme", "agent": "bot"}
    usage = {**event, "model": "new", "provider": "p", "input_tokens": 10}
    books.ledger.apply([json.dumps(usage).encode()], [b"acme"], [0], [books.now_ms])
    price = {
        "model": "new",
        "effective_from": "2026-01-01T00:00:00Z",
        "price": {"input": "3", "output": "9"},
    }
    books.now_ms += HOUR
    books.command({"type": "price.set", "price": price})

    books.store(embedded)

    assert unequal_hours(embedded) == []
    assert accounts(embedded) == {("cap", "*"): [("0.00003", "0")]}
    spent = embedded.query("SELECT toString(cost), events, unpriced_events FROM spend_daily")
    assert [tuple(row) for row in spent.result_rows] == [("0.00003", 1, 0)]
