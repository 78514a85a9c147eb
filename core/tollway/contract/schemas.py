"""JSON Schemas of all that others read or write, built from the records themselves."""

from inspect import cleandoc
from typing import Any, Final, Literal

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


def _tidy(node: dict[str, Any]) -> dict[str, Any]:  # any: JSON of unknown shape
    """Docstrings become descriptions: without the indentation of the source."""
    tidied: dict[str, Any] = {}  # any: as above
    for key, value in node.items():
        if key == "description" and isinstance(value, str):
            tidied[key] = cleandoc(value)
        elif isinstance(value, dict):
            tidied[key] = _tidy(value)
        elif isinstance(value, list):
            tidied[key] = [_tidy(item) if isinstance(item, dict) else item for item in value]
        else:
            tidied[key] = value
    return tidied
