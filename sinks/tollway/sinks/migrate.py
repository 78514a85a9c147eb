"""Brings a database to the present tables and views: numbered SQL files, each applied once."""

import re
from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files

import msgspec

from tollway.sinks.clickhouse import Client

__all__ = ["DriftedMigration", "Migration", "migrate", "migrations", "statements"]

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
# What a semicolon may hide in: quoted text and names, comments. Comments are dropped.
_PIECE = re.compile(
    r"""'(?:[^'\\]|\\.|'')*' | `(?:[^`\\]|\\.)*` | "(?:[^"\\]|\\.)*"
    | (?P<comment>--[^\n]*|/\*.*?\*/) | (?P<end>;) | [^'`"\-/;]+ | .""",
    re.VERBOSE | re.DOTALL,
)

_LEDGER_OF_MIGRATIONS = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    version UInt32,
    name String,
    checksum String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY version
"""


class DriftedMigration(Exception):
    """A migration that was applied is no longer the file it was, or is gone."""


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """One file. Each of its statements may run again: a crash can fall between any two."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Those of this package, in order."""
    found = []
    for file in files("tollway.sinks").joinpath("migrations").iterdir():
        match = _FILE_NAME.fullmatch(file.name)
        if match is not None:
            sql = file.read_text(encoding="utf-8")
            found.append(Migration(version=int(match[1]), name=match[2], sql=sql))
    return sorted(found, key=lambda migration: migration.version)


def migrate(client: Client, wanted: list[Migration] | None = None) -> list[Migration]:
    """Applies what is missing, in order, and answers what that was. Forward only."""
    wanted = migrations() if wanted is None else wanted
    client.command(_LEDGER_OF_MIGRATIONS)
    rows = client.query("SELECT version, name, checksum FROM schema_migrations FINAL").result_rows
    applied = {int(version): (str(name), str(checksum)) for version, name, checksum in rows}
    _refuse_drift(applied, wanted)
    missing = [migration for migration in wanted if migration.version not in applied]
    for migration in missing:
        for statement in statements(migration.sql):
            client.command(statement)
        client.insert(
            "schema_migrations",
            [[migration.version, migration.name, migration.checksum]],
            column_names=["version", "name", "checksum"],
        )
    return missing


def _refuse_drift(applied: dict[int, tuple[str, str]], wanted: list[Migration]) -> None:
    known = {migration.version: migration for migration in wanted}
    for version, (name, checksum) in sorted(applied.items()):
        migration = known.get(version)
        if migration is None:
            raise DriftedMigration(
                f"the database has migration {version:04d}_{name}, which this version of Tollway"
                " does not; run a version at least as new as the one that applied it"
            )
        if migration.checksum != checksum:
            raise DriftedMigration(
                f"migration {version:04d}_{name} was changed after it was applied; restore the"
                " file and put the change into a new migration"
            )
    newest = max(applied, default=0)
    for migration in wanted:
        if migration.version < newest and migration.version not in applied:
            raise DriftedMigration(
                f"migration {migration.version:04d}_{migration.name} comes before {newest:04d},"
                " which is applied; give it the next number"
            )


def statements(sql: str) -> Iterator[str]:
    """The statements of a file, without its comments; a semicolon in quotes ends nothing."""
    pieces: list[str] = []
    for match in _PIECE.finditer(sql + ";"):
        if match["end"] is not None:
            statement = "".join(pieces).strip()
            pieces.clear()
            if statement:
                yield statement
        elif match["comment"] is None:
            pieces.append(match[0])
