"""A backend over the SDK in this process: costs leave as usage events, decisions come back."""

from tollway.compat.amounts import exact_pico
from tollway.compat.pramiti.backends import InMemoryBackend
from tollway.contract.money import format_usd
from tollway.producers import process
from tollway.producers.errors import CallBlocked

__all__ = ["TollwayBackend"]


class TollwayBackend(InMemoryBackend):
    """Caps and costs as `InMemoryBackend` has them, and those of the fleet above them.

    What is added is metered, so the budgets of the workspace count it with what all other
    processes spend; a block that they decide is a cap that is spent, here, without a request. A
    cap that is set here holds in this process; `ApiBackend` sets one for all.
    """

    def add_cost(self, workspace_id: str, agent_id: str, usd: float) -> None:
        super().add_cost(workspace_id, agent_id, usd)
        process.record(
            kind="tool",
            workspace=workspace_id,
            agent=agent_id,
            cost=format_usd(exact_pico(usd)),
        )

    def get_today_cost(self, workspace_id: str, agent_id: str) -> float:
        """What this process knows of; where a block stands, what the fleet has spent."""
        blocked = _blocked(workspace_id, agent_id)
        if blocked is not None:
            return _dollars(blocked)
        return super().get_today_cost(workspace_id, agent_id)

    def get_cap(self, workspace_id: str, agent_id: str) -> dict[str, object] | None:
        blocked = _blocked(workspace_id, agent_id)
        if blocked is None:
            return super().get_cap(workspace_id, agent_id)
        # What is spent, and not the limit that the block names: a block without one is one too.
        return {"max_usd_per_day": _dollars(blocked), "action_on_breach": "block"}


def _blocked(workspace_id: str, agent_id: str) -> CallBlocked | None:
    try:
        process.check_fields({"workspace": workspace_id, "agent": agent_id})
    except CallBlocked as blocked:
        return blocked
    return None


def _dollars(blocked: CallBlocked) -> float:
    """What the block says was spent; 0 where it is about tokens or calls, or says nothing."""
    decision = blocked.decision
    if decision is None or decision.spent is None or decision.unit != "usd":
        return 0.0
    return float(decision.spent)
