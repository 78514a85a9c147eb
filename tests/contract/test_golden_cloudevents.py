"""Golden CloudEvents of both modes: their bytes, what they mean, and what the official SDK says."""

import json
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from cloudevents.core.bindings import kafka

from tollway.domain.cloudevents import envelope_of, unwrap

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "cloudevents.jsonl"


class GoldenCloudEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the file; `event` is the usage event that it means."""

    mode: Literal["binary", "structured"]
    headers: dict[str, str]
    value: str
    event: msgspec.Raw

    def message(self) -> kafka.KafkaMessage:
        headers = {name: text.encode() for name, text in self.headers.items()}
        return kafka.KafkaMessage(headers=headers, key=None, value=self.value.encode())


ALL = [
    msgspec.json.decode(line, type=GoldenCloudEvent) for line in GOLDEN.read_bytes().splitlines()
]
IDS = [f"{number}-{one.mode}" for number, one in enumerate(ALL)]


def test_both_modes_are_there() -> None:
    assert {one.mode for one in ALL} == {"binary", "structured"}


@pytest.mark.parametrize("golden", ALL, ids=IDS)
def test_a_cloudevent_means_its_usage_event(golden: GoldenCloudEvent) -> None:
    envelope = envelope_of(list(golden.headers.items()))
    assert envelope is not None
    event = unwrap(golden.value.encode(), envelope)
    assert msgspec.json.encode(event) == bytes(golden.event)


@pytest.mark.parametrize("golden", ALL, ids=IDS)
def test_the_official_sdk_reads_it_and_writes_it_again_with_the_same_meaning(
    golden: GoldenCloudEvent,
) -> None:
    read = kafka.from_kafka_event(golden.message())
    assert read.get_specversion() == "1.0"
    for write in (kafka.to_binary_event, kafka.to_structured_event):
        written = write(read)
        envelope = envelope_of(list(written.headers.items()))
        assert envelope is not None
        assert msgspec.json.encode(unwrap(written.value, envelope)) == bytes(golden.event)


@pytest.mark.parametrize("golden", [one for one in ALL if one.mode == "binary"])
def test_in_binary_mode_the_official_sdk_writes_the_golden_headers(
    golden: GoldenCloudEvent,
) -> None:
    written = kafka.to_binary_event(kafka.from_kafka_event(golden.message()))
    headers = {name: text.decode() for name, text in written.headers.items()}
    # Where an event has no time, that SDK gives it one.
    headers["ce_time"] = golden.headers.get("ce_time", "")
    assert headers == {"ce_time": "", **golden.headers}
    assert json.loads(written.value) == json.loads(golden.value)
