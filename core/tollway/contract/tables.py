"""The tables and views in ClickHouse that rooms and people rely on by name."""

from typing import Literal

__all__ = ["TABLES", "VIEWS", "Table"]

Table = Literal[
    "charges", "spend", "accounts", "credits", "decisions", "findings", "commands", "deadletters"
]
TABLES: tuple[Table, ...] = (
    "charges",
    "spend",
    "accounts",
    "credits",
    "decisions",
    "findings",
    "commands",
    "deadletters",
)
VIEWS = ("spend_daily", "chargeback", "anomalies", "completed_tasks")
