"""What a restored ledger lists in another order, it does not judge in another order."""

import msgspec

from replayed import LogRecord, entries, plain_state
from tollway.contract.control import Decision
from tollway.contract.ledger_entries import LedgerEntry
from tollway.contract.moments import format_ms
from tollway.contract.usage import UsageEvent
from tollway.domain.commanding import obey
from tollway.domain.ledger import Ledger
from tollway.domain.prices import Catalogue, PriceBook
from tollway.domain.restoring import restore

NOON_MS = 1_767_268_800_000  # 2026-01-01 12:00 UTC
MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
CATALOGUE = Catalogue.bundled()


def fresh() -> Ledger:
    # One partition, so that every workspace lives in it.
    return Ledger(0, 1, PriceBook(CATALOGUE))


def event(number: int, at_ms: int, cost: str, session: str | None = None) -> bytes:
    said = UsageEvent(
        id=f"call-{number}",
        time=format_ms(at_ms),
        workspace="acme",
        agent="bot",
        session=session,
        cost=cost,
    )
    return msgspec.json.encode(said)


def take(ledger: Ledger, value: bytes, offset: int, stamp_ms: int) -> None:
    ledger.apply([value], [b"acme"], [offset], [stamp_ms])


def budget(limit: str) -> bytes:
    document = {
        "type": "budget.set",
        "id": f"limit {limit}",
        "time": "2026-01-01T00:00:00Z",
        "workspace": "acme",
        "budget": {"id": "ceiling", "match": {}, "window": "day", "limit_usd": limit},
    }
    return msgspec.json.encode(document)


def written(records: list[tuple[str, LedgerEntry | None]]) -> dict[str, bytes]:
    return {key: msgspec.json.encode(entry) for key, entry in records if entry is not None}


def test_runs_that_end_in_one_minute_end_in_the_order_of_their_last_events() -> None:
    one = fresh()
    costs = ("0.5", "0.2", "0.9", "0.1")
    for number, cost in enumerate(costs):
        at_ms = NOON_MS + number * 1000
        take(one, event(number, at_ms, cost, session=f"run-{-number}"), number, at_ms)
    books = written(one.close())
    later = event(9, NOON_MS + DAY_MS, "0.3", session="later")

    states = []
    for listed in (entries(books), entries(books)[::-1]):
        ledger = fresh()
        restore(ledger, listed)
        take(ledger, later, 9, NOON_MS + DAY_MS)
        states.append(plain_state((k, e) for k, e in ledger.close() if e is not None))

    assert "norm|acme|bot" in states[0]
    assert states[0] == states[1]


def test_an_edit_keeps_today_s_block_although_a_late_event_opened_yesterday_s_window() -> None:
    ledger = fresh()
    obey(ledger, b"acme", budget("1"), 0, NOON_MS)
    take(ledger, event(0, NOON_MS, "3"), 0, NOON_MS)
    take(ledger, event(1, NOON_MS - DAY_MS, "5"), 1, NOON_MS + 1000)
    ledger.take_verdicts()

    obey(ledger, b"acme", budget("2"), 1, NOON_MS + 2000)

    made = [verdict for verdict in ledger.take_verdicts() if isinstance(verdict, Decision)]
    assert [decision.action for decision in made] == ["block"]
    assert made[-1].spent == "3.000000000000"
    assert ledger.verdicts.stands("acme", {}, "budget:ceiling", ledger.log_ms) == made[-1]


def test_records_are_told_by_their_offset_whatever_their_chunks_were() -> None:
    log = [
        LogRecord(place, b"acme", event(place, NOON_MS + place, "0.01"), NOON_MS + place)
        for place in range(50)
    ]
    whole, pieces = fresh(), fresh()
    for record in log:
        take(whole, record.value or b"", record.offset, record.stamp_ms)

    for first in (0, 10, 5, 30, 30):
        part = log[first : first + 25]
        pieces.apply(
            [record.value for record in part],
            [record.key for record in part],
            [record.offset for record in part],
            [record.stamp_ms for record in part],
        )

    assert pieces.take_charges() == whole.take_charges()
    assert plain_state((k, e) for k, e in pieces.close() if e is not None) == plain_state(
        (k, e) for k, e in whole.close() if e is not None
    )
