"""The published JSON Schemas: up to date, and true of the golden records."""

import json
from pathlib import Path
from typing import Any

import pytest

from tollway.cli.schemas import main, stale, write
from tollway.contract.schemas import SCHEMAS, SchemaName, schema

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
FILES: dict[SchemaName, str] = {
    "charge": "charges",
    "command": "commands",
    "control": "control",
    "dead-letter": "dead_letters",
    "ledger-entry": "ledger_entries",
    "usage-event": "usage_events",
}


def test_the_published_schemas_are_what_the_contract_says() -> None:
    assert stale(ROOT / "docs" / "schemas") == []


def test_a_stale_a_missing_and_a_nobodys_file_are_found(tmp_path: Path) -> None:
    write(tmp_path)
    assert main(["--check", "--dir", str(tmp_path)]) == 0
    (tmp_path / "charge.json").write_text("{}")
    (tmp_path / "budget.json").unlink()
    (tmp_path / "other.json").write_text("{}")
    assert stale(tmp_path) == ["budget.json", "charge.json", "other.json"]
    assert main(["--check", "--dir", str(tmp_path)]) == 1
    assert main(["--write", "--dir", str(tmp_path)]) == 0


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_says_which_it_is_and_every_reference_leads_somewhere(name: SchemaName) -> None:
    document: dict[str, Any] = schema(name)
    assert document["$id"] == f"urn:tollway:schema:{name}"
    for reference in _references(document):
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        assert isinstance(target, dict)


def _references(node: object) -> list[str]:
    if isinstance(node, list):
        return [reference for item in node for reference in _references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [reference for value in node.values() for reference in _references(value)]


@pytest.mark.parametrize(("name", "file"), sorted(FILES.items()))
def test_every_golden_field_is_in_its_schema(name: SchemaName, file: str) -> None:
    document: dict[str, Any] = schema(name)
    shapes = [document, *document["$defs"].values()]
    for line in (GOLDEN / f"{file}.jsonl").read_text().splitlines():
        record = json.loads(line)
        fitting = [
            shape
            for shape in shapes
            if set(record) <= set(shape.get("properties", {}))
            and set(shape.get("required", [])) <= set(record)
        ]
        assert fitting, record


def test_the_schema_of_usage_says_what_is_required_and_how_large() -> None:
    document: dict[str, Any] = schema("usage-event")
    usage = document["$defs"]["UsageEvent"]
    assert usage["required"] == ["id", "time", "workspace", "agent"]
    assert usage["properties"]["input_tokens"]["minimum"] == 0
    assert usage["properties"]["input_tokens"]["maximum"] == 2**48
    assert usage["properties"]["time"]["format"] == "date-time"
