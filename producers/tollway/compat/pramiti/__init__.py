"""The names of pramiti-agent-finops 0.2.1, and backends that last; docs/moving.md compares them."""

from typing import TYPE_CHECKING

from tollway.compat.pramiti.action_budget_checker import (
    ActionBudgetChecker,
    IActionBackend,
    InMemoryActionBackend,
)
from tollway.compat.pramiti.backends import ICostBackend, InMemoryBackend
from tollway.compat.pramiti.cap_checker import CapChecker
from tollway.compat.pramiti.exceptions import (
    BudgetExceededError,
    BudgetWarning,
    CapExceededError,
    CapWarning,
)

if TYPE_CHECKING:
    from tollway.compat.pramiti.api import ApiBackend
    from tollway.compat.pramiti.postgres import PostgresActionBackend, PostgresBackend
    from tollway.compat.pramiti.tollway import TollwayBackend

__all__ = [
    "ActionBudgetChecker",
    "ApiBackend",
    "BudgetExceededError",
    "BudgetWarning",
    "CapChecker",
    "CapExceededError",
    "CapWarning",
    "IActionBackend",
    "ICostBackend",
    "InMemoryActionBackend",
    "InMemoryBackend",
    "PostgresActionBackend",
    "PostgresBackend",
    "TollwayBackend",
]

# Whose names these are.
__version__ = "0.2.1"

# Loaded at first use: who keeps its caps in memory needs none of them.
_LATER = {
    "ApiBackend": "tollway.compat.pramiti.api",
    "PostgresActionBackend": "tollway.compat.pramiti.postgres",
    "PostgresBackend": "tollway.compat.pramiti.postgres",
    "TollwayBackend": "tollway.compat.pramiti.tollway",
}


def __getattr__(name: str) -> object:
    home = _LATER.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # An import by name, so that a type checker still sees the classes above.
    import importlib

    found: object = getattr(importlib.import_module(home), name)
    globals()[name] = found
    return found
