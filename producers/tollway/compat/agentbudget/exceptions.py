"""What a session raises; amounts are dollars, as floats."""

__all__ = ["AgentBudgetError", "BudgetExhausted", "InvalidBudget", "InvalidCost", "LoopDetected"]


class AgentBudgetError(Exception):
    """All errors of budgets are one of these."""


class BudgetExhausted(AgentBudgetError):
    """The session, or a parent of it, has spent more than it has; or has nothing left to begin.

    What was spent is in the books, the call that went over included. Raised from a `CallBlocked`
    where the refusal is the fleet's.
    """

    def __init__(self, budget: float, spent: float) -> None:
        super().__init__(budget, spent)
        self.budget = budget
        self.spent = spent

    def __str__(self) -> str:
        return f"Budget exhausted: spent ${self.spent:.4f} of ${self.budget:.2f} budget"


class InvalidBudget(AgentBudgetError):
    """No amount that a budget can be."""

    def __init__(self, value: str) -> None:
        super().__init__(value)
        self.value = value

    def __str__(self) -> str:
        return f"Invalid budget value: {self.value!r}"


class InvalidCost(AgentBudgetError):
    """No amount that a call can cost."""

    def __init__(self, cost: object) -> None:
        super().__init__(cost)
        self.cost = cost

    def __str__(self) -> str:
        return f"Invalid cost value: {self.cost!r}. Cost must be a finite, non-negative number."


class LoopDetected(Exception):
    """The same call, with the same arguments and the same result, again and again."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"Loop detected: repeated calls to {self.key!r}"
