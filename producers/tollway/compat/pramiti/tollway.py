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
            return float(blocked.spent or 0)
        return super().get_today_cost(workspace_id, agent_id)

    def get_cap(self, workspace_id: str, agent_id: str) -> dict[str, object] | None:
        blocked = _blocked(workspace_id, agent_id)
        if blocked is None:
            return super().get_cap(workspace_id, agent_id)
        # Not the limit that the block names: spend and limit are of one moment, and a block without
        # amounts, such as a person's, is one too.
        return {"max_usd_per_day": float(blocked.spent or 0), "action_on_breach": "block"}


def _blocked(workspace_id: str, agent_id: str) -> CallBlocked | None:
    try:
        process.check_fields({"workspace": workspace_id, "agent": agent_id})
    except CallBlocked as blocked:
        return blocked
    return None
