"""CloudEvents on the usage topic: both modes mean the plain event, wherever its fields are."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_records import USED, binary, structured
from ledgers import T0, Given, Log
from tollway.contract.topics import partition_of
from tollway.domain.cloudevents import Envelope, envelope_of, unwrap
from tollway.domain.reading import Unreadable, read_usage


@pytest.mark.parametrize("record", [binary(USED), structured(USED)], ids=["binary", "structured"])
def test_what_the_data_leave_out_the_attributes_say(record: Given) -> None:
    (charge,) = Log().send_given(record).charges()
    assert (charge.workspace, charge.agent, charge.source, charge.id, charge.time) == (
        "acme",
        "bot",
        "openai",
        "chatcmpl-1",
        "2026-03-10T12:00:00.000Z",
    )
    assert charge.cost == "1.000020000000"


@pytest.mark.parametrize("wrap", [binary, structured])
def test_what_the_data_say_wins(wrap: Any) -> None:  # noqa: ANN401 -- one of the two above
    own = {
        "id": "mine",
        "source": "me",
        "time": "2026-03-10T11:59:00.000Z",
        "agent": "cat",
        "workspace": "beta",
    }
    (charge,) = Log().send_given(wrap({**USED, **own})).charges()
    assert {name: getattr(charge, name) for name in own} == own


def test_null_in_the_data_says_nothing() -> None:
    (charge,) = Log().send_given(binary({**USED, "agent": None, "source": None})).charges()
    assert (charge.agent, charge.source) == ("bot", "openai")


def test_one_event_in_both_modes_and_plain_is_billed_once() -> None:
    plain = {
        "id": "chatcmpl-1",
        "source": "openai",
        "time": "2026-03-10T12:00:00Z",
        "agent": "bot",
        "workspace": "acme",
        **USED,
    }
    log = Log().send_given(binary(USED), structured(USED), Given(json.dumps(plain).encode()))
    assert len(log.charges()) == 1
    assert log.close().books.counts()["duplicates"] == 2


def test_an_id_is_one_of_its_source_also_where_the_data_repeat_it() -> None:
    """Ids of CloudEvents are unique within their source alone: "1" of two of them are two."""
    whole = {**USED, "id": "1", "time": "2026-03-10T12:00:00Z", "agent": "bot", "workspace": "acme"}
    log = Log().send_given(
        binary(whole, id="1", source="/a"),
        binary(whole, id="1", source="/b"),
        binary(whole, id="1", source="/a"),
    )
    assert [charge.source for charge in log.charges()] == ["/a", "/b"]


def test_an_envelope_whose_extensions_look_like_an_event_is_not_booked_at_nothing() -> None:
    record = structured(USED, workspace="other", agent="other", model="small")
    (charge,) = Log().send_given(record).charges()
    assert (charge.workspace, charge.agent, charge.cost) == ("acme", "bot", "1.000020000000")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents+json; charset=UTF-8",
        "Application/CloudEvents+JSON",
        " application/cloudevents+json ;charset=utf-8",
    ],
)
def test_a_media_type_is_one_in_any_case_and_with_parameters(content_type: str) -> None:
    assert len(Log().send_given(structured(USED, content_type)).charges()) == 1


def test_data_in_base64_are_data() -> None:
    encoded = base64.b64encode(json.dumps(USED).encode()).decode()
    record = structured(None, data_base64=encoded)
    assert [charge.cost for charge in Log().send_given(record).charges()] == ["1.000020000000"]


def test_of_headers_of_one_name_the_last_counts() -> None:
    record = binary(USED)
    assert isinstance(record.beside, list)
    again = Given(record.value, [*record.beside, ("ce_subject", b"cat")])
    assert [charge.agent for charge in Log().send_given(again).charges()] == ["cat"]


def test_headers_of_others_make_no_cloudevent() -> None:
    others: list[tuple[str, str | bytes | None]] = [
        ("traceparent", b"00-1-2-01"),
        ("content-type", b"application/json"),
        ("ce_flavour", b"x"),
    ]
    log = Log().send_given(Given(b'{"id":"e"}', others))
    (letter,) = log.letters
    assert (letter.reason, letter.headers) == ("missing_field", None)
    assert "CloudEvent" not in letter.detail


class Watched:
    """A record that tells whether anybody asked for its headers."""

    def __init__(self) -> None:
        self.asked = 0

    def headers(self) -> None:
        self.asked += 1


def test_the_headers_of_a_whole_event_are_not_looked_at() -> None:
    whole = {"id": "e", "time": "2026-03-10T12:00:00Z", "agent": "bot", "workspace": "acme", **USED}
    values = [json.dumps({**whole, "source": "openai"}).encode(), json.dumps(whole).encode()]
    records = [Watched(), Watched()]
    Log().ledger.apply(values, [b"", b""], [0, 1], [T0, T0], records)
    assert [record.asked for record in records] == [0, 1]


def test_a_cloudevent_of_another_partition_is_sent_on_with_its_headers() -> None:
    away = (partition_of("acme", 12) + 1) % 12
    record = binary(USED)
    log = Log(partition=away, partitions=12).send_given(record)
    assert log.misrouted == [("acme", record.value, record.beside)]
    home = Log(partition=partition_of("acme", 12), partitions=12)
    (stray,) = log.misrouted
    assert len(home.send_given(Given(stray.value, stray.headers)).charges()) == 1


def test_it_ends_a_run_of_nonsense() -> None:
    log = Log().send(b"x", b"x").send_given(binary(USED))
    assert log.ledger.poison_run == 0


NAMES = st.text(min_size=1, max_size=12).filter(lambda text: text.isprintable())
PLAIN = st.fixed_dictionaries(
    {
        "id": NAMES,
        "source": NAMES,
        "time": st.sampled_from(["2026-03-10T12:00:00Z", "2026-03-10T17:30:00+05:30"]),
        "workspace": NAMES,
        "agent": NAMES,
        "input_tokens": st.integers(0, 2**48),
    },
    optional={
        "session": NAMES,
        "tags": st.dictionaries(NAMES, NAMES, max_size=3),
        "cost": st.sampled_from(["0", "1.5"]),
        "v": st.just(1),
    },
)
STANDS_FOR = {
    "id": "id",
    "source": "source",
    "time": "time",
    "agent": "subject",
    "workspace": "partitionkey",
}


@given(PLAIN, st.sets(st.sampled_from(sorted(STANDS_FOR))), st.booleans())
def test_wherever_its_fields_are_an_event_is_the_same(
    plain: dict[str, Any], moved: set[str], is_binary: bool
) -> None:
    # What stays in the data wins over what the envelope says of it.
    attributes: dict[str, Any] = {name: "else" for name in STANDS_FOR.values()}
    attributes |= {STANDS_FOR[field]: plain[field] for field in moved}
    data = {field: value for field, value in plain.items() if field not in moved}
    record = binary(data, **attributes) if is_binary else structured(data, **attributes)
    envelope = envelope_of(record.beside or [])
    assert envelope is not None
    assert unwrap(record.value, envelope) == read_usage(json.dumps(plain).encode())


@given(
    st.one_of(
        st.none(), st.binary(max_size=40), st.from_regex(rb'\{"(id|data)":.{0,9}\}', fullmatch=True)
    ),
    st.dictionaries(
        st.sampled_from(["ce_id", "ce_specversion", "ce_source", "ce_type", "content-type"]),
        st.one_of(
            st.none(),
            st.binary(max_size=8),
            st.sampled_from([b"1.0", b"application/cloudevents+json"]),
        ),
        min_size=1,
    ),
)
def test_nothing_but_unreadable_comes_of_any_bytes(value: bytes | None, headers: Envelope) -> None:
    with pytest.raises(Unreadable):
        unwrap(value, headers)


def test_what_names_its_producer_is_booked_without_a_look_at_its_headers() -> None:
    whole = {
        "id": "call-1",
        "time": "2026-03-10T12:00:00Z",
        "agent": "bot",
        "workspace": "acme",
        "producer": "p-1",
        "seq": 0,
        **USED,
    }
    (charge,) = Log().send_given(binary(whole)).charges()
    assert (charge.id, charge.source) == ("call-1", "")
