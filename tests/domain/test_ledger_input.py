"""Records that are no events: a dead letter with the right reason, and the books untouched."""

import base64
import json

import pytest

from ledgers import T0, Log, event
from tollway.contract.topics import partition_of

CANARY = "CANARY-sk-1234"
GOOD = {"id": "e", "time": "2026-03-10T12:00:00Z", "workspace": "acme", "agent": "bot"}


def _with(raw: bytes) -> bytes:
    return json.dumps(GOOD).encode()[:-1] + b"," + raw + b"}"


BAD = [
    (None, "empty"),
    (b"", "empty"),
    (b"{}", "missing_field"),
    (b"[]", "wrong_type"),
    (b'"x"', "wrong_type"),
    (b"null", "wrong_type"),
    (b"7", "wrong_type"),
    (b"{", "broken_json"),
    (b"\xff\xfe", "broken_json"),
    (b"\xef\xbb\xbf{}", "broken_json"),
    (_with(b'"user":"\xff"'), "broken_json"),
    (_with(b'"user":"\\ud800"'), "broken_json"),
    (_with(b'"input_tokens":NaN'), "broken_json"),
    (_with(b'"input_tokens":Infinity'), "broken_json"),
    (_with(b'"input_tokens":-1'), "out_of_range"),
    (_with(b'"input_tokens":281474976710657'), "out_of_range"),
    (_with(b'"input_tokens":9223372036854775808'), "out_of_range"),
    (_with(b'"input_tokens":1e400'), "out_of_range"),
    (_with(b'"input_tokens":' + b"9" * 5_000), "out_of_range"),
    (_with(b'"seconds":1e400'), "out_of_range"),
    (_with(b'"seconds":-0.5'), "out_of_range"),
    (_with(b'"input_tokens":true'), "wrong_type"),
    (_with(b'"seconds":true'), "wrong_type"),
    (_with(b'"input_tokens":1.5'), "wrong_type"),
    (_with(b'"input_tokens":"5"'), "wrong_type"),
    (_with(b'"input_tokens":null'), "wrong_type"),
    (_with(b'"session":5'), "wrong_type"),
    (_with(b'"tags":{"a":1}'), "wrong_type"),
    (_with(b'"model":"' + b"m" * 513 + b'"'), "out_of_range"),
    (_with(b'"kind":"poem"'), "out_of_range"),
    (_with(b'"seq":-1'), "out_of_range"),
    (_with(b'"tags":' + json.dumps({str(n): "" for n in range(17)}).encode()), "out_of_range"),
    (_with(b'"v":2'), "unknown_version"),
    (_with(b'"v":2,"input_tokens":"new"'), "unknown_version"),
    (b'{"v":2}', "unknown_version"),
    (b'{"v":0}', "unknown_version"),
    (_with(b'"v":"2"'), "wrong_type"),
    (_with(b'"v":[[2]]'), "wrong_type"),
    (_with(b'"v":true'), "wrong_type"),
    (_with(b'"id":""'), "out_of_range"),
    (b'{"id":"e","time":"2026-03-10T12:00:00Z","agent":"bot"}', "missing_field"),
    (_with(b'"workspace":null'), "wrong_type"),
    (_with(b'"workspace":""'), "out_of_range"),
    (b"[" * 100_000, "broken_json"),
    (_with(b'"x":' + b"[" * 100_000 + b"]" * 100_000), "broken_json"),
    (_with(b'"x":' + b'{"y":' * 900 + b"1" + b"}" * 900), "broken_json"),
    (_with(b'"pad":"' + b"x" * 300_000 + b'"'), "too_large"),
    (_with(b'"time":"yesterday"'), "malformed_time"),
    (_with(b'"time":"2026-03-10T12:00:00"'), "malformed_time"),
    (_with(b'"cost":"-1"'), "malformed_cost"),
    (_with(b'"cost":"1e3"'), "malformed_cost"),
    (_with(b'"cost":"0.0000000000001"'), "malformed_cost"),
    (_with(b'"cost":1.5'), "wrong_type"),
]


@pytest.mark.parametrize(("value", "reason"), BAD, ids=[f"{n}-{r}" for n, (_, r) in enumerate(BAD)])
def test_what_is_no_event_becomes_a_dead_letter(value: bytes | None, reason: str) -> None:
    log = Log().set_budget().send(event(cost="0.2"), value, event(cost="0.3"))
    (letter,) = log.letters
    assert (letter.reason, letter.topic, letter.partition, letter.offset) == (
        reason,
        "tollway.usage",
        0,
        1,
    )
    assert letter.size_bytes == len(value or b"")
    # Its neighbours are booked, and it is not.
    assert log.spent(start="2026-03-10T00:00:00.000Z") == "0.500000000000"
    assert len(log.charges()) == 2
    assert log.books.counts()["dead_letters"] == 1


def test_a_dead_letter_holds_the_record_cut_at_its_limit() -> None:
    value = b'{"x": "' + b"y" * 70_000
    log = Log().send(value)
    (letter,) = log.letters
    assert letter.value is not None
    assert base64.b64decode(letter.value) == value[: 64 * 1024]
    assert letter.key == base64.b64encode(b"key").decode()
    assert letter.size_bytes == len(value)


@pytest.mark.parametrize(
    "raw",
    [
        f'"{name}":{value}'
        for name in (
            "id", "time", "kind", "input_tokens", "seconds", "tags", "status", "cost", "v", "lost",
            "success", "session", "producer",
        )
        for value in (f'"{CANARY}"', f'["{CANARY}"]', f'{{"{CANARY}": "{CANARY}"}}')
    ],
)  # fmt: skip
def test_the_detail_of_a_dead_letter_never_repeats_a_value(raw: str) -> None:
    log = Log().send(_with(raw.encode()))
    assert all(CANARY not in letter.detail for letter in log.letters)


@pytest.mark.parametrize(
    "value",
    [
        f'{{"{CANARY}',
        f'"{CANARY}"',
        f"{CANARY}",
        f'{{"v": "{CANARY}"}}',
        f'{{"v": 2, "x": "{CANARY}"}}',
    ],
)
def test_nor_does_that_of_broken_json(value: str) -> None:
    (letter,) = Log().send(value.encode()).letters
    assert CANARY not in letter.detail


@pytest.mark.parametrize("seven", [b"7", b"7.0", b"-0", b"007"])
def test_a_count_is_an_integer_written_as_one(seven: bytes) -> None:
    log = Log().send(_with(b'"input_tokens":' + seven))
    assert len(log.charges()) == (1 if seven in {b"7", b"-0"} else 0)


def test_unknown_fields_are_passed_over() -> None:
    log = Log().send(_with(b'"new_in_2027":{"a":[1,2,{"b":null}]},"\xff":1'))
    assert len(log.charges()) == 1


def test_brackets_in_names_are_no_nesting() -> None:
    log = Log().send(event(agent="[" * 400, session="{" * 400, task='"[' * 200))
    assert (len(log.charges()), log.letters) == (1, [])


def test_a_run_of_nonsense_is_counted_and_one_event_ends_it() -> None:
    log = Log().send(b"x", b"x", b"x")
    assert log.ledger.poison_run == 3
    log.send(event())
    assert log.ledger.poison_run == 0
    log.send(b"x")
    assert log.ledger.poison_run == 1


def test_a_workspace_of_another_partition_is_sent_on_as_it_came() -> None:
    home = partition_of("acme", 12)
    value = event(cost="1")
    log = Log(partition=(home + 1) % 12, partitions=12).send(value)
    assert log.misrouted == [("acme", value, None)]
    assert (log.charges(), log.close().books.counts()["misrouted"]) == ([], 1)
    assert log.books.of("spend") == []


def test_records_that_are_in_the_books_are_passed_over() -> None:
    log = Log().send(event(id="a"), event(id="b")).close().restart()
    log.offset = 0
    log.send(event(id="x"), event(id="y"), event(id="c"))
    assert [c.id for c in log.charges()] == ["a", "b", "c"]
    assert log.close().books.counts()["events"] == 3


def test_a_stamp_that_runs_backwards_does_not_turn_time_back() -> None:
    log = Log().send(event(T0)).send(event(T0 - 1_000), at=T0 - 1_000)
    assert log.charges()[-1].log_time == "2026-03-10T12:00:00.000Z"


@pytest.mark.parametrize(
    "name", ["a|b", "a/b&c=d", "ümläut", "x\u0000y", '"quoted"', "\u2028", "*", " "]
)
def test_any_name_is_a_name(name: str) -> None:
    log = Log().set_budget(match={"agent": "*"}, window="total")
    log.spend("1", agent=name, session=name, model=name, tool=name, user=name, customer=name)
    log.close().restart().spend("1", agent=name, session=name, model=name, tool=name)
    assert log.spent(agent=name) == "2.000000000000"
    assert {c.agent for c in log.charges()} == {name}
