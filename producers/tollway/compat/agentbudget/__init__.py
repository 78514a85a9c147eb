"""The names of agentbudget 0.4.0 over Tollway's sessions; docs/moving.md says what is different."""

from tollway.compat.agentbudget.budget import AgentBudget
from tollway.compat.agentbudget.clients import wrap_client
from tollway.compat.agentbudget.dropin import (
    get_session,
    init,
    remaining,
    report,
    spent,
    teardown,
    track,
)
from tollway.compat.agentbudget.exceptions import (
    AgentBudgetError,
    BudgetExhausted,
    InvalidBudget,
    InvalidCost,
    LoopDetected,
)
from tollway.compat.agentbudget.pricing import register_model, register_models
from tollway.compat.agentbudget.sessions import AsyncBudgetSession, BudgetSession

__all__ = [
    "AgentBudget",
    "AgentBudgetError",
    "AsyncBudgetSession",
    "BudgetExhausted",
    "BudgetSession",
    "InvalidBudget",
    "InvalidCost",
    "LoopDetected",
    "get_session",
    "init",
    "register_model",
    "register_models",
    "remaining",
    "report",
    "spent",
    "teardown",
    "track",
    "wrap_client",
]

# Whose names these are.
__version__ = "0.4.0"
