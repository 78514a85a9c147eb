"""Not billable twice: running numbers exact at any age, fingerprints for 72 hours."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledgers import DAY, HOUR, MINUTE, T0, Log, event
from tollway.domain import dedup
from tollway.domain.crowding import Crowds
from tollway.domain.dedup import Fingerprints, Producer, fingerprint
from tollway.domain.stateful import Changes


def _counts(log: Log) -> dict[str, int]:
    return log.close().books.counts()


def test_a_record_sent_again_is_billed_once() -> None:
    sent = event(id="e1", producer="p", seq=0, cost="1")
    log = Log().send(sent).send(sent)
    assert [c.id for c in log.charges()] == ["e1"]
    assert _counts(log)["duplicates"] == 1


def test_a_number_seen_is_a_duplicate_at_any_age() -> None:
    log = Log().send(event(producer="p", seq=0, id="a"), event(producer="p", seq=1, id="b"))
    for day in range(1, 6):
        log.send(event(T0 + day * DAY, producer="p", seq=day + 1), at=T0 + day * DAY)
    log.send(event(T0, producer="p", seq=0, id="a"))
    assert _counts(log)["duplicates"] == 1


def test_a_number_that_was_missing_is_taken_when_it_comes() -> None:
    log = Log().send(*[event(producer="p", seq=seq, id=f"e{seq}") for seq in (0, 3, 1)])
    assert [c.id for c in log.charges()] == ["e0", "e3", "e1"]
    assert _counts(log)["missing"] == 1


def test_numbers_are_of_a_producer_in_a_workspace() -> None:
    log = Log().send(
        event(id="a", producer="p", seq=0),
        event(id="b", producer="q", seq=0),
        event(id="c", producer="p", seq=0, workspace="beta"),
    )
    assert [c.id for c in log.charges()] == ["a", "b", "c"]


def test_the_same_call_of_two_adapters_is_billed_once() -> None:
    log = Log().send(
        event(id="resp_1", source="openai", producer="gateway", seq=0, cost="1"),
        event(id="resp_1", source="openai", producer="agent", seq=0, cost="1"),
    )
    assert len(log.charges()) == 1


@pytest.mark.parametrize("other", [{"source": "y"}, {"id": "2"}, {"workspace": "beta"}])
def test_another_source_id_or_workspace_is_another_call(other: dict[str, Any]) -> None:
    log = Log().send(event(id="1", source="x"), event(**({"id": "1", "source": "x"} | other)))
    assert len(log.charges()) == 2


def test_a_fingerprint_is_remembered_for_seventy_two_hours_and_not_for_ever() -> None:
    sent = event(id="e1")
    log = Log().send(sent).send(sent, at=T0 + 71 * HOUR)
    assert len(log.charges()) == 1
    log.send(sent, at=T0 + 74 * HOUR)
    assert len(log.charges()) == 2
    assert log.charges()[-1].skewed


def test_a_bucket_of_fingerprints_leaves_with_a_tombstone() -> None:
    log = Log().send(event()).close()
    (key,) = log.books.of("fingerprints")
    log.send(event(T0 + 73 * HOUR), at=T0 + 73 * HOUR).close()
    assert (key, None) in log.books.written
    assert log.books.of("fingerprints") != [key]


def test_two_generations_of_a_log_never_share_a_key_of_fingerprints() -> None:
    log = Log().send(event(id="a")).close()
    position = json.loads(log.books.live["position"]) | {"generation": 2, "usage_offset": -1}
    log.books.live["position"] = json.dumps(position).encode()
    log.restart()
    log.offset = 0
    log.send(event(id="b")).close()
    assert len(log.books.of("fingerprints")) == 2
    log.restart().send(event(id="a"), event(id="b"))
    assert _counts(log)["duplicates"] == 2


def test_an_idle_producer_leaves_after_seven_days_with_a_tombstone() -> None:
    log = Log().send(event(producer="p", seq=0)).close()
    log.send(event(T0 + 7 * DAY), at=T0 + 7 * DAY).close()
    assert log.books.of("producer") == ["producer|acme|p"]
    log.send(event(T0 + 8 * DAY), at=T0 + 8 * DAY).close()
    assert log.books.of("producer") == []
    assert ("producer|acme|p", None) in log.books.written


def test_past_the_limit_the_oldest_hour_leaves_early_and_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dedup, "MAX_FINGERPRINTS", 3)
    counts: dict[str, int] = {}
    seen = Fingerprints(Changes(), Crowds(counts))
    marks = [bytes([number] * 8) for number in range(4)]
    assert [seen.is_new(mark, hour, hour) for hour, mark in enumerate(marks)] == [True] * 4
    assert counts == {"early_fingerprints": 1}
    assert seen.is_new(marks[0], 3, 5)
    assert not seen.is_new(marks[3], 3, 6)


def test_gaps_past_the_limit_are_given_up_and_stay_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dedup, "MAX_GAPS", 2)
    producer = Producer("acme", "p")
    missing = sum(producer.see(seq) for seq in (1, 3, 5))
    assert missing == 3
    assert (producer.first, producer.floor) == ([2, 4], 1)
    # Given up: whether 0 was seen is for the fingerprints to say.
    assert not producer.has_seen(0)


def test_splitting_one_wide_gap_keeps_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedup, "MAX_GAPS", 5)
    producer = Producer("acme", "p")
    producer.see(2**48)
    for seq in range(1, 100, 2):
        producer.see(seq)
    assert len(producer.first) == 5


@given(st.lists(st.integers(0, 30)))
def test_numbers_seen_and_missing_are_those_of_a_set(numbers: list[int]) -> None:
    producer, seen, missing = Producer("acme", "p"), set[int](), 0
    for seq in numbers:
        assert producer.has_seen(seq) == (seq in seen)
        if seq not in seen:
            missing += producer.see(seq)
            seen.add(seq)
    everything = set(range(max(seen, default=-1) + 1))
    ranges = zip(producer.first, producer.last, strict=True)
    assert {n for first, last in ranges for n in range(first, last + 1)} == everything - seen
    assert missing == len(everything - seen)


def test_a_fingerprint_is_eight_bytes_and_of_all_its_parts() -> None:
    marks = {fingerprint(*parts) for parts in [("a", "b", "c"), ("a", "", "c"), ("a", "c", "b")]}
    assert len(marks) == 3
    assert all(len(mark) == 8 for mark in marks)


def test_a_duplicate_moves_time_but_changes_no_account() -> None:
    sent = event(id="e1", cost="1")
    log = Log().set_budget(limit_usd="10").send(sent).close()
    before = dict(log.books.live)
    log.send(sent, at=T0 + 2 * MINUTE).close()
    changed = {key for key in log.books.live if log.books.live[key] != before.get(key)}
    assert changed == {"position"}
