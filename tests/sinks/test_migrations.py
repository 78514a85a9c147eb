"""Migrations: numbered, once each, forward only, the same on both backends."""

from collections.abc import Iterator

import msgspec
import pytest

from tollway.contract.tables import TABLES, VIEWS
from tollway.sinks.clickhouse import Client
from tollway.sinks.migrate import DriftedMigration, Migration, migrate, migrations, statements

FIRST = Migration(version=1, name="first", sql="CREATE TABLE IF NOT EXISTS a (x Int8) ENGINE Log;")
SECOND = Migration(version=2, name="second", sql="CREATE OR REPLACE VIEW b AS SELECT x FROM a;")


@pytest.fixture
def empty(client: Client) -> Iterator[Client]:
    """A database without anything in it."""
    client.command("CREATE DATABASE fresh")
    before, client.database = client.database, "fresh"
    yield client
    client.database = before or "default"
    client.command("DROP DATABASE fresh")


def tables_of(client: Client) -> set[str]:
    rows = client.query("SELECT name FROM system.tables WHERE database = 'fresh'").result_rows
    return {str(row[0]) for row in rows}


def test_an_empty_database_gets_every_table_and_view_by_name(empty: Client) -> None:
    applied = migrate(empty)

    names = [migration.name for migration in applied]
    assert names == [
        "tables",
        "views",
        "raw_records",
        "dead_letters_headers",
        "completed_tasks",
        "free_calls",
    ]
    assert {*TABLES, *VIEWS, "audit_hours", "audit_accounts", "raw_records"} <= tables_of(empty)


def test_a_second_run_applies_nothing(empty: Client) -> None:
    migrate(empty, [FIRST])

    assert migrate(empty, [FIRST]) == []


def test_only_what_is_missing_is_applied(empty: Client) -> None:
    migrate(empty, [FIRST])

    assert migrate(empty, [FIRST, SECOND]) == [SECOND]


def test_every_migration_may_run_again_after_a_crash(empty: Client) -> None:
    migrate(empty)
    empty.command("TRUNCATE TABLE schema_migrations")

    assert len(migrate(empty)) == 6


def test_a_changed_migration_is_refused_by_name(empty: Client) -> None:
    migrate(empty, [FIRST])
    changed = msgspec.structs.replace(FIRST, sql="CREATE TABLE IF NOT EXISTS a (x Int64)")

    with pytest.raises(DriftedMigration, match="0001_first was changed"):
        migrate(empty, [changed])


def test_a_database_from_a_newer_version_is_refused(empty: Client) -> None:
    migrate(empty, [FIRST, SECOND])

    with pytest.raises(DriftedMigration, match="0002_second, which this version"):
        migrate(empty, [FIRST])


def test_a_migration_is_never_put_before_an_applied_one(empty: Client) -> None:
    migrate(empty, [SECOND_ALONE])

    with pytest.raises(DriftedMigration, match="0001_first comes before 0002"):
        migrate(empty, [FIRST, SECOND_ALONE])


SECOND_ALONE = Migration(version=2, name="alone", sql="CREATE OR REPLACE VIEW c AS SELECT 1 AS x;")


def test_a_semicolon_in_quotes_or_in_a_comment_ends_no_statement() -> None:
    sql = """
    -- not; here
    SELECT ';', `a;b`, "c;d", 'it''s; \\'; so' /* nor; here */ FROM t;
    SELECT 1 - 2 / 3
    """

    assert [" ".join(each.split()) for each in statements(sql)] == [
        """SELECT ';', `a;b`, "c;d", 'it''s; \\'; so' FROM t""",
        "SELECT 1 - 2 / 3",
    ]


def test_the_packaged_migrations_are_numbered_without_a_gap() -> None:
    assert [migration.version for migration in migrations()] == [1, 2, 3, 4, 5, 6]
