"""Whether logs continue books: what is gone is told, and never more than that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.contract.ledger_entries import PositionEntry
from tollway.contract.topics import COMMANDS, LEDGER, USAGE, Topic
from tollway.streams.continuing import Found, Gap, LogLost, are_books_gone, check, gaps
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


def test_without_ids_a_log_that_ends_too_early_is_another_one() -> None:
    lost = found(position(logs={}), usage=(0, 30), commands=(0, 2))

    assert where(lost) == [(USAGE.name, 49, 0), (COMMANDS.name, 2, 0)]
    assert "this is another log than the books were kept of" in gaps(lost)[0].said


def test_the_same_log_whose_end_was_cut_off_goes_on_at_its_new_end() -> None:
    """What stands before it is booked: reading it again would be counting it again."""
    assert where(found(position(), usage=(0, 30))) == [(USAGE.name, 49, 30)]


def test_books_that_are_gone_are_missed_where_the_group_has_read() -> None:
    lost = found(None, group=50)

    assert are_books_gone(lost)
    assert [gap.said for gap in gaps(lost)] == [
        "tollway.ledger has no books, but tollway.usage was booked up to offset 49: they are gone"
    ]


def test_books_that_are_gone_obey_all_commands_again_and_no_usage_twice() -> None:
    lost = found(position(), usage=(60, 90), commands=(1, 9), anew=LEDGER)

    assert are_books_gone(lost)
    assert where(lost) == [(LEDGER.name, 49, 50), (USAGE.name, 49, 60), (COMMANDS.name, -1, 1)]


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
