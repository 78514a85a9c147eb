"""Whether logs continue books: what is gone is told, and never more than that."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.contract.ledger_entries import PositionEntry
from tollway.contract.topics import COMMANDS, LEDGER, USAGE, Topic
from tollway.streams.continuing import (
    Found,
    Gap,
    LogLost,
    are_books_gone,
    check,
    gaps,
    position_without,
)
from tollway.streams.kafka import LogBounds

IDS = {USAGE.name: "usage-1", COMMANDS.name: "commands-1", LEDGER.name: "ledger-1"}


def position(usage: int = 49, commands: int = 2, logs: dict[str, str] = IDS) -> PositionEntry:
    return PositionEntry(
        generation=1,
        usage_offset=usage,
        commands_offset=commands,
        log_time_ms=0,
        counts={},
        logs=logs,
    )


def found(
    held: PositionEntry | None,
    *,
    usage: tuple[int, int] = (0, 50),
    commands: tuple[int, int] = (0, 3),
    group: int = 0,
    anew: Topic | None = None,
) -> Found:
    """Bounds are the first offset and the end; the topic `anew` has another id than before."""
    return Found(
        position=held,
        booked=group - 1 if held is None else held.usage_offset,
        ids=IDS if anew is None else IDS | {anew.name: "another"},
        usage=LogBounds(*usage, usage[1] - 1),
        commands=LogBounds(*commands, commands[1] - 1),
    )


def where(found: Found) -> list[tuple[str, int, int]]:
    return [(gap.topic, gap.last, gap.next) for gap in gaps(found)]


@given(
    st.integers(-1, 30), st.integers(-1, 30), st.integers(0, 30), st.integers(0, 30), st.booleans()
)
def test_logs_that_have_all_that_follows_the_books_continue_them(
    usage: int, commands: int, dropped: int, more: int, has_ids: bool
) -> None:
    first = min(dropped, usage + 1, commands + 1)
    held = position(usage, commands, IDS if has_ids else {})

    check(
        0,
        found(held, usage=(first, usage + 1 + more), commands=(first, commands + 1 + more)),
    )


def test_a_partition_without_books_and_without_a_past_is_begun() -> None:
    assert gaps(found(None)) == []


def test_a_log_that_lost_its_beginning_goes_on_at_the_first_record_there_is() -> None:
    lost = found(position(), usage=(120, 150), commands=(7, 9))

    assert gaps(lost) == [
        Gap(
            USAGE.name,
            49,
            120,
            "tollway.usage begins at offset 120, but the books have seen 49: 70 records are gone",
        ),
        Gap(
            COMMANDS.name,
            2,
            7,
            "tollway.commands begins at offset 7, but the books have seen 2: 4 records are gone",
        ),
    ]


@pytest.mark.parametrize("end", [0, 30, 50, 80])
def test_a_topic_made_anew_is_another_log_however_long_it_is(end: int) -> None:
    assert where(found(position(), usage=(0, end), anew=USAGE)) == [(USAGE.name, 49, 0)]
    assert where(found(position(), commands=(0, end), anew=COMMANDS)) == [(COMMANDS.name, 2, 0)]


def test_it_is_named_with_both_ids() -> None:
    (gap,) = gaps(found(position(), usage=(0, 80), anew=USAGE))

    assert gap.said == (
        "tollway.usage was made anew since the books were kept of it (its id is another,"
        " not usage-1): what the old one held after offset 49 is gone"
    )


def test_a_topic_made_anew_of_which_the_books_have_seen_nothing_is_read_from_its_beginning() -> (
    None
):
    assert gaps(found(position(usage=-1), usage=(0, 5), anew=USAGE)) == []


@pytest.mark.parametrize("logs", [IDS, {}])
def test_a_log_that_ends_before_the_books_is_read_again(logs: dict[str, str]) -> None:
    lost = found(position(logs=logs), usage=(0, 30), commands=(0, 2))

    assert where(lost) == [(USAGE.name, 49, 0), (COMMANDS.name, 2, 0)]
    assert gaps(lost)[0].said == (
        "tollway.usage ends at offset 30, but the books have seen 49: it was cut off or is another"
        " log, and what it held after 49 is gone"
    )


def test_it_is_read_again_only_as_far_back_as_the_books_know_what_they_hold() -> None:
    copied = replace(found(position(), usage=(10, 80), anew=USAGE), known_from=45)

    assert where(copied) == [(USAGE.name, 49, 45)]


def test_books_that_are_gone_are_missed_where_the_group_has_read() -> None:
    lost = found(None, group=50)

    assert are_books_gone(lost)
    assert [gap.said for gap in gaps(lost)] == [
        "tollway.ledger has no books, but tollway.usage was booked up to offset 49: they are gone"
    ]


def test_books_that_are_gone_obey_all_commands_again_and_no_usage_twice() -> None:
    lost = found(position(), usage=(60, 90), commands=(1, 9), anew=LEDGER)

    assert are_books_gone(lost)
    assert where(lost) == [(LEDGER.name, -1, 0), (USAGE.name, 49, 60), (COMMANDS.name, -1, 1)]


def test_the_worker_is_told_all_of_it_and_the_way_out() -> None:
    with pytest.raises(LogLost) as why:
        check(3, found(position(), usage=(120, 150), commands=(0, 9), anew=COMMANDS))

    assert str(why.value) == (
        "partition 3: tollway.usage begins at offset 120, but the books have seen 49: 70 records"
        " are gone; tollway.commands was made anew since the books were kept of it (its id is"
        " another, not commands-1): what the old one held after offset 2 is gone. Nothing is"
        " skipped unasked: `tollway rebuild` shows what is lost, and lets the books go on without"
        " it"
    )


@st.composite
def anything(draw: st.DrawFn) -> Found:
    """Whatever a broker may have, topics made anew among it."""
    first, length = st.integers(0, 20), st.integers(0, 20)
    bounds = [(begin, begin + draw(length)) for begin in (draw(first), draw(first))]
    last = st.integers(-1, 30)
    held = draw(st.none() | st.builds(position, last, last, st.sampled_from([IDS, {}])))
    anew = draw(st.sampled_from([None, USAGE, COMMANDS, LEDGER]))
    return replace(
        found(held, usage=bounds[0], commands=bounds[1], group=draw(st.integers(0, 30)), anew=anew),
        known_from=draw(st.integers(0, bounds[0][1])),
    )


@given(anything())
def test_what_is_accepted_lets_the_books_go_on(lost: Found) -> None:
    after = position_without(lost, 4, 0)

    assert gaps(replace(lost, position=after, booked=after.usage_offset)) == []
    assert after.generation == 5


@given(anything())
def test_nothing_is_left_out_but_what_is_gone_and_nothing_of_the_same_log_read_again(
    lost: Found,
) -> None:
    for gap in gaps(lost):
        if gap.topic == USAGE.name:
            assert gap.next <= max(lost.usage.first, lost.known_from)
        if gap.said.endswith("records are gone"):
            assert gap.next > gap.last
