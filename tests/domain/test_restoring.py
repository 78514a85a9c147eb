"""Another owner continues from the books: every kind of entry comes back as it was."""

import json

import msgspec
import pytest

from ledgers import DAY, HOUR, MINUTE, T0, Books, Log, command, event
from tollway.contract.ledger_entries import LedgerEntry
from tollway.domain.ledger import stamp_of

KINDS = {
    "account",
    "decision",
    "document",
    "fingerprints",
    "free",
    "history",
    "norm",
    "pending",
    "position",
    "producer",
    "session",
    "spend",
    "unpriced",
}


def _busy() -> Log:
    """A ledger with an entry of each kind."""
    log = Log().tell(command("policy.set", policy={"unpriced": "block", "run_budget_usd": "3"}))
    log.set_budget(match={"agent": "*"}).set_budget(id="roll", window="rolling:90m")
    log.send(event(producer="p", seq=2, session="s", parent_session="q", cost="0.8", user="u"))
    log.send(event(T0 + 20 * MINUTE, model="mystery", session="s", cost=None), at=T0 + 20 * MINUTE)
    log.send(event(T0 + 21 * MINUTE, kind="tool", tool="mail"), at=T0 + 21 * MINUTE)
    log.spend("0.4", session="s", tags={"a": "b"})
    return log.tell(command("block", subject={"user": "v"}))


def test_there_is_an_entry_of_every_kind_to_restore() -> None:
    assert {key.split("|")[0] for key in _busy().books.live} == KINDS


def test_what_is_restored_writes_itself_down_as_it_was() -> None:
    """Touched, each piece of the new owner's state says what the old one's did."""
    log = _busy()
    before = dict(log.books.live)
    log.restart()
    ledger = log.ledger
    pieces = [
        *ledger.verdicts.standing.values(),
        *ledger.pricer.free.batches,
        *(bucket for slot in ledger.seen.prints.wheel.slots.values() for bucket in slot),
    ]
    for space in ledger.workspaces.values():
        pieces += [*space.runs.values(), *space.norms.values(), *space.producers.values()]
        pieces += [*space.documents.values(), *space.unpriced.values()]
        pieces += [waiting for model in space.unpriced.values() for waiting in model.waiting]
        pieces += [a for purse in space.purses.values() for a in purse.accounts.values()]
        for lane in space.lanes.values():
            pieces += [*lane.minutes.values(), *lane.hours.values()]
    for piece in pieces:
        ledger.changes.touch(piece)
    log.close()
    assert {_plain(key, log.books) for key in log.books.live} == {
        _plain_bytes(key, value) for key, value in before.items()
    }


def _plain(key: str, books: Books) -> str:
    return _plain_bytes(key, books.live[key])


def _plain_bytes(key: str, value: bytes) -> str:
    """Without the version, which is that of the books that wrote it last."""
    fields = json.loads(value)
    fields.pop("version", None)
    return f"{key} {json.dumps(fields, sort_keys=True)}"


def test_an_owner_of_nothing_begins_at_the_beginning() -> None:
    log = Log().restart()
    assert (log.ledger.usage_offset, log.ledger.commands_offset) == (-1, -1)
    log.spend("1")
    assert log.charges()[0].cost == "1.000000000000"


def test_a_charge_after_a_restart_knows_the_logs_time() -> None:
    log = Log().send(event()).close().restart().send(event())
    assert log.charges()[-1].log_time == "2026-03-10T12:00:00.000Z"


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_keys_does_not_matter(order: int) -> None:
    log = _busy()
    log.books.live = dict(sorted(log.books.live.items(), reverse=order < 0))
    log.restart().spend("1", at=T0 + 22 * MINUTE, session="s").close()
    other = _busy().restart().spend("1", at=T0 + 22 * MINUTE, session="s").close()
    assert [c.cost for c in log.charges()] == [c.cost for c in other.charges()]
    assert log.said() == other.said()
    assert log.said("budget:roll") == other.said("budget:roll")


def test_a_restored_block_still_stands_and_still_lapses() -> None:
    log = Log().set_budget().spend("1").close().restart()
    held = log.ledger.verdicts.stands("acme", {}, "budget:cap", T0)
    assert held is not None
    assert held.action == "block"
    log.spend("0", at=T0 + DAY)
    assert log.ledger.verdicts.stands("acme", {}, "budget:cap", T0 + DAY) is None
    assert log.close().books.of("decision") == []


def test_thresholds_that_fired_do_not_fire_again() -> None:
    log = Log().set_budget().spend("0.8").close().restart().spend("0.15")
    assert log.said() == [("warn", 70), ("warn", 90)]


def test_an_account_without_its_budget_is_an_error_that_says_the_way_out() -> None:
    log = Log().set_budget().spend("1").close()
    del log.books.live["document|acme|budget|cap"]
    with pytest.raises(ValueError, match="rebuild it from the log"):
        log.restart()


def test_a_new_generation_never_writes_an_older_version_or_over_an_older_accumulator() -> None:
    log = Log().spend("1").close()
    position = json.loads(log.books.live["position"]) | {"generation": 2, "usage_offset": -1}
    log.books.live["position"] = json.dumps(position).encode()
    log.restart()
    log.offset = 0
    log.spend("1", at=T0 + HOUR).close()
    rows = sorted(log.books.spend_rows().values(), key=lambda row: row.version)
    assert [(row.generation, row.version) for row in rows] == [
        (1, stamp_of(1, 0)),
        (2, stamp_of(2, 0)),
    ]


def test_a_version_rises_with_offset_and_generation() -> None:
    stamps = [stamp_of(1, -1), stamp_of(1, 0), stamp_of(1, 2**48 - 2), stamp_of(2, -1)]
    assert stamps == sorted(set(stamps))


def test_every_entry_decodes_to_what_was_encoded() -> None:
    decoder = msgspec.json.Decoder(LedgerEntry)
    for value in _busy().books.live.values():
        assert msgspec.json.encode(decoder.decode(value)) == value
