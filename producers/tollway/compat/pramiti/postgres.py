"""Backends over PostgreSQL: caps, costs and counts that all processes share, exact to the digit."""

import os
import threading
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from tollway.compat.amounts import exact_pico
from tollway.compat.pramiti.backends import ICostBackend, action_named
from tollway.producers.amounts import usd as dollars

if TYPE_CHECKING:
    import psycopg

__all__ = ["SCHEMA", "PostgresActionBackend", "PostgresBackend"]

# Sent as one statement, so in one transaction. The lock: two processes that begin at one moment
# would both find no table, and one of them would fail.
SCHEMA: Final = """
select pg_advisory_xact_lock(7305790114321);
create table if not exists tollway_caps (
  workspace_id text not null,
  agent_id     text not null,
  max_usd      numeric(38, 12) not null check (max_usd >= 0),
  action       text not null check (action in ('block', 'warn')),
  primary key (workspace_id, agent_id)
);
create table if not exists tollway_costs (
  workspace_id text not null,
  agent_id     text not null,
  day          date not null,
  usd          numeric(38, 12) not null check (usd >= 0 and usd <> 'NaN'),
  primary key (workspace_id, agent_id, day)
);
create table if not exists tollway_action_budgets (
  workspace_id text not null,
  agent_id     text not null,
  scope        text not null,
  max_actions  bigint not null check (max_actions >= 0),
  action       text not null check (action in ('block', 'warn')),
  primary key (workspace_id, agent_id, scope)
);
create table if not exists tollway_action_counts (
  workspace_id text not null,
  agent_id     text not null,
  scope        text not null,
  count        bigint not null check (count >= 0),
  primary key (workspace_id, agent_id, scope)
);
"""

# The database's day: agents' clocks differ.
_TODAY: Final = "(now() at time zone 'utc')::date"

_SET_CAP: Final = """
insert into tollway_caps (workspace_id, agent_id, max_usd, action) values (%s, %s, %s, %s)
on conflict (workspace_id, agent_id)
do update set max_usd = excluded.max_usd, action = excluded.action
"""
_GET_CAP: Final = """
select max_usd, action from tollway_caps where workspace_id = %s and agent_id = %s
"""
_ADD_COST: Final = f"""
insert into tollway_costs as c (workspace_id, agent_id, day, usd) values (%s, %s, {_TODAY}, %s)
on conflict (workspace_id, agent_id, day) do update set usd = c.usd + excluded.usd
"""
_TODAY_COST: Final = f"""
select usd from tollway_costs where workspace_id = %s and agent_id = %s and day = {_TODAY}
"""
_RESET_COST: Final = f"""
delete from tollway_costs where workspace_id = %s and agent_id = %s and day = {_TODAY}
"""
_SET_BUDGET: Final = """
insert into tollway_action_budgets (workspace_id, agent_id, scope, max_actions, action)
values (%s, %s, %s, %s, %s)
on conflict (workspace_id, agent_id, scope)
do update set max_actions = excluded.max_actions, action = excluded.action
"""
_GET_BUDGET: Final = """
select max_actions, action from tollway_action_budgets
where workspace_id = %s and agent_id = %s and scope = %s
"""
_INCREASE: Final = """
insert into tollway_action_counts as c (workspace_id, agent_id, scope, count)
values (%s, %s, %s, %s)
on conflict (workspace_id, agent_id, scope) do update set count = c.count + excluded.count
returning count
"""
_COUNT: Final = """
select count from tollway_action_counts where workspace_id = %s and agent_id = %s and scope = %s
"""
_RESET_COUNT: Final = """
delete from tollway_action_counts where workspace_id = %s and agent_id = %s and scope = %s
"""

Row = tuple[object, ...]


class _Database:
    """One connection, opened at first use and again after it broke or a fork; threads take turns.

    A statement that failed with its connection is not sent again: it may have been carried out.
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._lock = threading.Lock()
        self._connection: psycopg.Connection | None = None
        # Its parent's, in a forked child, which must not close it.
        self._inherited: psycopg.Connection | None = None
        self._migrated = False
        _databases.add(self)

    def row(self, statement: str, values: Sequence[object]) -> Row | None:
        """The first row, if the statement gives any. Raises psycopg's errors."""
        with self._lock:
            cursor = self._open().execute(statement.encode(), values)
            return cursor.fetchone() if cursor.description is not None else None

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def after_fork(self) -> None:
        """A child opens its own: two processes on one connection would read each other's rows."""
        self._lock = threading.Lock()
        self._inherited, self._connection = self._connection, None

    def _open(self) -> "psycopg.Connection":
        connection = self._connection
        if connection is None or connection.closed:
            # Here: only who uses this backend has the driver.
            import psycopg

            connection = psycopg.connect(self._conninfo, autocommit=True)
            self._connection = connection
        if not self._migrated:
            connection.execute(SCHEMA.encode())
            self._migrated = True
        return connection


_databases: WeakSet[_Database] = WeakSet()


def _after_fork_in_child() -> None:
    for database in list(_databases):
        database.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class PostgresBackend(ICostBackend):
    """Costs by workspace, agent and day (UTC, by the database's clock).

    Needs `psycopg` 3. Tables are made at first use. Adding is one statement, so no cost is lost
    between processes; checking and then adding are two.
    """

    def __init__(self, conninfo: str) -> None:
        self._database = _Database(conninfo)

    def set_cap(
        self, workspace_id: str, agent_id: str, max_usd: float, action: str = "block"
    ) -> None:
        values = (workspace_id, agent_id, _numeric(max_usd), action_named(action))
        self._database.row(_SET_CAP, values)

    def get_cap(self, workspace_id: str, agent_id: str) -> dict[str, object] | None:
        row = self._database.row(_GET_CAP, (workspace_id, agent_id))
        return None if row is None else {"max_usd_per_day": row[0], "action_on_breach": row[1]}

    def add_cost(self, workspace_id: str, agent_id: str, usd: float) -> None:
        """Raises `ValueError` for what is negative or no number, and then adds nothing."""
        self._database.row(_ADD_COST, (workspace_id, agent_id, _numeric(usd)))

    def reset_cost(self, workspace_id: str, agent_id: str) -> None:
        self._database.row(_RESET_COST, (workspace_id, agent_id))

    def get_today_cost(self, workspace_id: str, agent_id: str) -> float:
        return float(self.today_usd(workspace_id, agent_id))

    def today_usd(self, workspace_id: str, agent_id: str) -> Decimal:
        """The exact amount."""
        row = self._database.row(_TODAY_COST, (workspace_id, agent_id))
        return Decimal(0) if row is None else Decimal(str(row[0]))

    def close(self) -> None:
        self._database.close()


class PostgresActionBackend:
    """Counts and budgets of actions, in the same database."""

    def __init__(self, conninfo: str) -> None:
        self._database = _Database(conninfo)

    def set_budget(
        self,
        workspace_id: str,
        agent_id: str,
        scope: str,
        max_actions: int,
        action: str = "block",
    ) -> None:
        values = (workspace_id, agent_id, scope, max_actions, action_named(action))
        self._database.row(_SET_BUDGET, values)

    def incr(self, workspace_id: str, agent_id: str, scope: str = "session", n: int = 1) -> int:
        """The new count, which no other process got. Raises `ValueError` for fewer than none."""
        if n < 0:
            raise ValueError(f"{n} actions cannot have been made")
        row = self._database.row(_INCREASE, (workspace_id, agent_id, scope, n))
        return _whole(row)

    def reset(self, workspace_id: str, agent_id: str, scope: str = "session") -> None:
        self._database.row(_RESET_COUNT, (workspace_id, agent_id, scope))

    def get_action_count(self, workspace_id: str, agent_id: str, scope: str) -> int:
        return _whole(self._database.row(_COUNT, (workspace_id, agent_id, scope)))

    def get_budget(self, workspace_id: str, agent_id: str, scope: str) -> dict[str, object] | None:
        row = self._database.row(_GET_BUDGET, (workspace_id, agent_id, scope))
        return None if row is None else {"max_actions": row[0], "action_on_breach": row[1]}

    def close(self) -> None:
        self._database.close()


def _numeric(amount: object) -> Decimal:
    return dollars(exact_pico(amount))


def _whole(row: Row | None) -> int:
    return 0 if row is None or not isinstance(row[0], int) else row[0]
