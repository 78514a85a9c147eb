"""What the checkers raise and warn with."""

__all__ = ["BudgetExceededError", "BudgetWarning", "CapExceededError", "CapWarning"]


class CapExceededError(Exception):
    """The agent has spent its cap of the day, whose action is to block."""

    def __init__(self, agent_id: str, today_cost: float, max_usd: float) -> None:
        # All arguments are in `args`, so that the exception survives pickling.
        super().__init__(agent_id, today_cost, max_usd)
        self.agent_id = agent_id
        self.today_cost = today_cost
        self.max_usd = max_usd

    def __str__(self) -> str:
        return (
            f"Agent {self.agent_id!r} daily warehouse cost cap exceeded:"
            f" ${self.today_cost:.4f} >= ${self.max_usd:.4f} limit"
        )


class CapWarning(UserWarning):
    """The agent has spent its cap of the day, whose action is to warn."""


class BudgetExceededError(Exception):
    """The agent has made all the calls that the scope allows."""

    def __init__(self, agent_id: str, scope: str, count: int, limit: int) -> None:
        super().__init__(agent_id, scope, count, limit)
        self.agent_id = agent_id
        self.scope = scope
        self.count = count
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"Agent {self.agent_id!r} {self.scope} action budget exceeded:"
            f" {self.count} >= {self.limit} actions"
        )


class BudgetWarning(UserWarning):
    """The agent has made all the calls that the scope allows, and its action is to warn."""
