"""CloudEvents that are no usage events: dead letters that say why, with the headers."""

import base64

import pytest

from cloud_records import USED, binary, structured
from ledgers import Given, Log
from tollway.contract.deadletter import MAX_DEAD_BYTES

CANARY = "CANARY-sk-1234"

REFUSED = [
    (binary(USED, specversion=None), "missing_field", "specversion"),
    (binary(USED, specversion=""), "missing_field", "specversion"),
    (binary(USED, specversion="0.3"), "unknown_version", "specversion"),
    (binary(USED, specversion=f"1.0 {CANARY}"), "unknown_version", "specversion"),
    (binary(USED, id=None), "missing_field", "id"),
    (binary(USED, source=None), "missing_field", "source"),
    (binary(USED, type=None), "missing_field", "type"),
    (structured(USED, type=None), "missing_field", "type"),
    (structured(USED, id=7), "wrong_type", "id"),
    (structured(USED, subject=[CANARY]), "wrong_type", "subject"),
    (structured(USED, specversion="2.0"), "unknown_version", "specversion"),
    (binary(USED, subject=None), "missing_field", "subject"),
    (binary(USED, partitionkey=None), "missing_field", "partitionkey"),
    (structured(USED, time=None), "missing_field", "time"),
    (binary(USED, subject=CANARY * 50), "out_of_range", "subject"),
    (binary(USED, time=CANARY), "malformed_time", "time"),
    (binary(USED, time=CANARY * 4), "out_of_range", "time"),
    (binary({**USED, "input_tokens": True}), "wrong_type", "input_tokens"),
    (binary({**USED, "input_tokens": -1}), "out_of_range", "input_tokens"),
    (binary({**USED, "cost": CANARY}), "malformed_cost", "cost"),
    (binary({**USED, "v": 2}), "unknown_version", "version 2"),
    (binary([CANARY]), "wrong_type", "object"),
    (structured(CANARY), "wrong_type", "object"),
    (structured(None), "empty", "data"),
    (structured(None, data_base64=f"#{CANARY}"), "broken_json", "data_base64"),
    (structured(USED, "application/cloudevents+avro"), "wrong_type", "content-type"),
    (structured(USED, "application/cloudevents-batch+json"), "wrong_type", "content-type"),
    (binary(USED)._replace(value=None), "empty", "no value"),
    (binary(USED)._replace(value=b"{" + CANARY.encode()), "broken_json", ""),
    (structured(USED)._replace(value=b"[" * 100_000), "broken_json", "nested"),
    (structured({**USED, "task": "x" * 300_000}), "too_large", "bytes"),
    (Given(b"{}", [("ce_id", b"\xff"), ("ce_specversion", b"1.0")]), "wrong_type", "id"),
    (Given(b"{}", [("ce_id", None)]), "missing_field", "specversion"),
]


@pytest.mark.parametrize(
    ("record", "reason", "named"), REFUSED, ids=[f"{n}-{r}" for n, (_, r, _) in enumerate(REFUSED)]
)
def test_what_is_no_usage_event_is_a_dead_letter_that_names_the_attribute_and_not_the_value(
    record: Given, reason: str, named: str
) -> None:
    log = Log().send_given(binary(USED, id="before"), record, structured(USED, id="after"))
    (letter,) = log.letters
    assert (letter.reason, letter.offset) == (reason, 1)
    assert named in letter.detail
    assert CANARY not in letter.detail
    # Its neighbours are booked, and it is not.
    assert [charge.id for charge in log.charges()] == ["before", "after"]


def test_a_dead_letter_keeps_the_headers_that_were_part_of_the_event() -> None:
    record = binary({"input_tokens": -1}, id="7")
    assert isinstance(record.beside, list)
    log = Log().send_given(Given(record.value, [*record.beside, ("traceparent", b"00-1-2-01")]))
    (letter,) = log.letters
    assert letter.headers is not None
    assert {name: base64.b64decode(text or "") for name, text in letter.headers.items()} == {
        "ce_specversion": b"1.0",
        "ce_id": b"7",
        "ce_source": b"openai",
        "ce_type": b"tollway.usage.v1",
        "ce_time": b"2026-03-10T12:00:00Z",
        "ce_subject": b"bot",
        "ce_partitionkey": b"acme",
        "content-type": b"application/json",
    }


def test_a_dead_letter_keeps_as_many_headers_as_fit() -> None:
    record = binary({}, id="7", subject="x" * MAX_DEAD_BYTES)
    (letter,) = Log().send_given(record).letters
    assert letter.headers is not None
    assert list(letter.headers) == ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time"]
