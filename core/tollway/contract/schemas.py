"""JSON Schemas of all that others read or write, built from the records themselves."""

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
        return head | _DOCUMENTS[name].json_schema(mode="validation")
    return head | msgspec.json.schema(_STRUCTS[name])
