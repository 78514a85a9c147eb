"""JSON Schemas of all that others read or write, built from the records themselves."""

from inspect import cleandoc
from typing import Any, Final, Literal, cast

import msgspec
from pydantic import TypeAdapter

from tollway.contract.charge import Charge
from tollway.contract.command import Budget, Policy, command_adapter
from tollway.contract.control import ControlRecord
from tollway.contract.deadletter import DeadLetter
from tollway.contract.ledger_entries import LedgerEntry
from tollway.contract.usage import UsageEvent

__all__ = ["SCHEMAS", "SchemaName", "schema"]

SchemaName = Literal[
    "budget",
    "charge",
    "command",
    "control",
    "dead-letter",
    "ledger-entry",
    "policy",
    "usage-event",
]
SCHEMAS: Final[tuple[SchemaName, ...]] = (
    "budget",
    "charge",
    "command",
    "control",
    "dead-letter",
    "ledger-entry",
    "policy",
    "usage-event",
)

_STRUCTS: Final = {
    "charge": Charge,
    "control": ControlRecord,
    "dead-letter": DeadLetter,
    "ledger-entry": LedgerEntry,
    "usage-event": UsageEvent,
}
_DOCUMENTS: Final[dict[str, TypeAdapter[Any]]] = {  # any: the schema is all that is asked of them
    "budget": TypeAdapter(Budget),
    "command": command_adapter,
    "policy": TypeAdapter(Policy),
}
_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema(name: SchemaName) -> dict[str, object]:
    """The JSON Schema (2020-12) of a record's JSON; the same for every run of one version."""
    head: dict[str, object] = {"$schema": _DRAFT, "$id": f"urn:tollway:schema:{name}"}
    if name in _DOCUMENTS:
        return head | _tidy(_DOCUMENTS[name].json_schema(mode="validation"))
    return head | _tidy(msgspec.json.schema(_STRUCTS[name]))


def _tidy(node: dict[str, Any]) -> dict[str, object]:  # any: JSON of unknown shape
    """Docstrings become descriptions: without the indentation of the source."""
    return {key: _tidied(key, value) for key, value in node.items()}


def _tidied(key: str, value: object) -> object:
    if key == "description" and isinstance(value, str):
        return cleandoc(value)
    if isinstance(value, dict):
        return _tidy(cast("dict[str, Any]", value))  # JSON has no other keys
    if isinstance(value, list):
        return [_tidied("", item) for item in cast("list[object]", value)]  # JSON of any shape
    return value
