"""Agents: what the runs and events of one usually cost."""

from typing import Final

from tollway.contract.ledger_entries import LedgerEntry, NormEntry
from tollway.contract.subjects import encode_name
from tollway.domain.detectors import Norm
from tollway.domain.stateful import Stateful

__all__ = ["NOBODYS", "AgentNorm"]


class AgentNorm(Stateful):
    """What one agent's runs and events usually cost."""

    __slots__ = ("agent", "last_ms", "norm", "workspace")

    def __init__(self, workspace: str, agent: str) -> None:
        super().__init__()
        self.workspace = workspace
        self.agent = agent
        self.norm = Norm()
        self.last_ms = 0

    def key(self) -> str:
        return f"norm|{encode_name(self.workspace)}|{encode_name(self.agent)}"

    def entry(self, stamp: int) -> LedgerEntry:
        return NormEntry(
            workspace=self.workspace,
            agent=self.agent,
            norm=self.norm.pack(),
            last_event_ms=self.last_ms,
        )


def _nobodys() -> AgentNorm:
    norm = AgentNorm("", "")
    norm.slot = -1
    return norm


# What has left stands for what is not there yet: whoever meets it looks the agent's norm up.
NOBODYS: Final = _nobodys()
