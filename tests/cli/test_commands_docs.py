"""The documents name every door there is."""

from pathlib import Path

import pytest
import typer.main

from api_fakes import CommandList, FixedLag
from tollway.api.app import create_app
from tollway.api.ports import Parameters, Row
from tollway.api.settings import ApiSettings
from tollway.cli.main import app

DOCS = Path(__file__).parents[2] / "docs"


class EmptyStore:
    def query(self, sql: str, parameters: Parameters) -> list[Row]:
        return []


def commands() -> list[str]:
    found: list[str] = []
    for name, command in getattr(typer.main.get_command(app), "commands", {}).items():
        below = getattr(command, "commands", None)
        found.extend([f"{name} {each}" for each in below] if below else [name])
    return sorted(found)


@pytest.mark.parametrize("command", commands())
def test_every_command_is_in_the_document(command: str) -> None:
    assert f"`tollway {command}" in (DOCS / "cli.md").read_text()


def test_every_address_is_in_the_document() -> None:
    api = create_app(ApiSettings(brokers="b:1"), EmptyStore(), CommandList(), FixedLag())
    document = (DOCS / "api.md").read_text()

    addresses = [
        f"{method.upper()} {path}"
        for path, operations in api.openapi()["paths"].items()
        for method in operations
    ]

    assert len(addresses) > 15
    assert [each for each in addresses if f"`{each}`" not in document] == []
