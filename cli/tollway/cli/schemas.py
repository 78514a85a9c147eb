"""`python -m tollway.cli.schemas --write | --check`: docs/schemas, or whether it is stale."""

import argparse
import json
from pathlib import Path

from tollway.contract.schemas import SCHEMAS, SchemaName, schema

__all__ = ["main", "stale", "write"]

_HOME = Path("docs/schemas")


def _text(name: SchemaName) -> str:
    return json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"


def write(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    for name in SCHEMAS:
        (home / f"{name}.json").write_text(_text(name))


def stale(home: Path) -> list[str]:
    """Files that differ from what the contract says now, are missing, or are nobody's."""
    wanted = {f"{name}.json": _text(name) for name in SCHEMAS}
    held = {path.name: path.read_text() for path in home.glob("*.json")}
    return sorted(
        name for name in wanted.keys() | held.keys() if wanted.get(name) != held.get(name)
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tollway.cli.schemas", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", action="store_true", help="write the files")
    what.add_argument("--check", action="store_true", help="fail where a file is stale")
    parser.add_argument("--dir", type=Path, default=_HOME, help=f"default: {_HOME}")
    options = parser.parse_args(arguments)
    if options.write:
        write(options.dir)
        return 0
    differing = stale(options.dir)
    for name in differing:
        print(f"{options.dir / name} is not what the contract says")
    if differing:
        print("run: python -m tollway.cli.schemas --write, and look at the difference: it is wire")
    return 1 if differing else 0


if __name__ == "__main__":
    raise SystemExit(main())
