"""Golden files: the bytes of one record of each kind. A difference here is a wire change."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from tollway.contract.charge import Charge
from tollway.contract.command import (
    BlockSubject,
    Budget,
    DeleteBudget,
    DeletePrice,
    DetectorParameters,
    Policy,
    PriceOverride,
    PricePerMillion,
    SetBudget,
    SetPolicy,
    SetPrice,
    SetToolPrice,
    ToolPrice,
    UnblockSubject,
    command_adapter,
)
from tollway.contract.control import ControlRecord, Decision, Finding, Heartbeat
from tollway.contract.deadletter import DeadLetter
from tollway.contract.ledger_entries import (
    AccountEntry,
    DecisionEntry,
    DocumentEntry,
    FingerprintsEntry,
    FreeCallsEntry,
    HistoryEntry,
    LedgerEntry,
    NormEntry,
    PendingEntry,
    PositionEntry,
    ProducerEntry,
    SessionEntry,
    SpendEntry,
    UnpricedEntry,
)
from tollway.contract.usage import UsageEvent

GOLDEN = Path(__file__).resolve().parents[1] / "golden"

STRUCTS: dict[str, Any] = {
    "charges": Charge,
    "control": ControlRecord,
    "dead_letters": DeadLetter,
    "ledger_entries": LedgerEntry,
    "usage_events": UsageEvent,
}
ENTRIES = [
    AccountEntry, DecisionEntry, DocumentEntry, FingerprintsEntry, FreeCallsEntry, HistoryEntry,
    NormEntry, PendingEntry, PositionEntry, ProducerEntry, SessionEntry, SpendEntry, UnpricedEntry,
]  # fmt: skip
# Each with what of it may be absent from the files, because it never is on the wire.
WHOLE: list[tuple[str, Any, set[str]]] = [
    ("usage_events", UsageEvent, {"v"}),
    ("charges", Charge, set()),
    ("control", Decision, set()),
    ("control", Finding, set()),
    ("control", Heartbeat, set()),
    ("dead_letters", DeadLetter, set()),
    *(("ledger_entries", entry, set()) for entry in ENTRIES),
]
COMMANDS = [
    BlockSubject, DeleteBudget, DeletePrice, SetBudget, SetPolicy, SetPrice, SetToolPrice,
    UnblockSubject,
]  # fmt: skip


def _lines(name: str) -> list[bytes]:
    return (GOLDEN / f"{name}.jsonl").read_bytes().splitlines()


def _again(name: str) -> Callable[[bytes], bytes]:
    if name == "commands":
        return lambda line: command_adapter.dump_json(
            command_adapter.validate_json(line), exclude_none=True
        )
    decoder = msgspec.json.Decoder(STRUCTS[name])
    return lambda line: msgspec.json.encode(decoder.decode(line))


@pytest.mark.parametrize("name", sorted([*STRUCTS, "commands"]))
def test_what_is_read_is_written_as_the_same_bytes(name: str) -> None:
    again = _again(name)
    lines = _lines(name)
    assert lines
    for line in lines:
        assert again(line) == line


@pytest.mark.parametrize(("name", "struct", "absent"), WHOLE)
def test_every_field_is_in_its_golden_file_in_its_order(
    name: str, struct: type[msgspec.Struct], absent: set[str]
) -> None:
    """The order of fields is wire format: compaction, diffs and other languages see it."""
    config = struct.__struct_config__
    fields = [field for field in struct.__struct_encode_fields__ if field not in absent]
    if config.tag is not None:
        fields.insert(0, str(config.tag_field))
    written = [list(json.loads(line)) for line in _lines(name)]
    if config.tag is not None:
        kinds = [json.loads(line)[config.tag_field] for line in _lines(name)]
        written = [w for w, kind in zip(written, kinds, strict=True) if kind == config.tag]
    assert fields in written


@pytest.mark.parametrize("model", COMMANDS)
def test_every_command_is_in_its_golden_file_with_every_field(model: type[BaseModel]) -> None:
    kind = model.model_fields["type"].default
    written = [doc for doc in map(json.loads, _lines("commands")) if doc["type"] == kind]
    assert list(model.model_fields) in [list(doc) for doc in written]


@pytest.mark.parametrize(
    ("kind", "part", "model"),
    [
        ("budget.set", "budget", Budget),
        ("price.set", "price", PriceOverride),
        ("tool_price.set", "price", ToolPrice),
        ("policy.set", "policy", Policy),
    ],
)
def test_every_field_of_a_document_is_in_some_golden_command(
    kind: str, part: str, model: type[BaseModel]
) -> None:
    written: set[str] = set()
    for doc in map(json.loads, _lines("commands")):
        if doc["type"] == kind:
            written |= set(doc[part])
    assert written == set(model.model_fields)


def test_every_field_of_a_price_and_of_detectors_is_there_too() -> None:
    docs = {doc["type"]: doc for doc in map(json.loads, _lines("commands"))}
    assert set(docs["price.set"]["price"]["price"]) == set(PricePerMillion.model_fields)
    detectors = set(docs["policy.set"]["policy"]["detectors"])
    assert detectors == set(DetectorParameters.model_fields)
