"""Runs of agents: their totals, and what the detectors remember of them."""

from typing import Final

from tollway.contract.ledger_entries import LedgerEntry, SessionEntry
from tollway.contract.subjects import encode_name
from tollway.domain.accounts import Purse
from tollway.domain.detectors import RunWatch
from tollway.domain.routes import Route
from tollway.domain.stateful import Stateful

__all__ = ["Run"]


class Run(Stateful):
    """One run of one agent: its totals and what the detectors remember. Session "" is no run."""

    __slots__ = (
        "agent",
        "calls",
        "last_ms",
        "mixed",
        "model_route",
        "parent",
        "purses",
        "revision",
        "session",
        "text",
        "tokens",
        "tool_route",
        "watch",
        "workspace",
    )

    purses: list[Purse]
    mixed: dict[Route, list[Purse]] | None
    model_route: Route | None
    tool_route: Route | None

    def __init__(self, workspace: str, session: str, agent: str) -> None:
        super().__init__()
        self.workspace = workspace
        self.session = session
        self.agent = agent
        self.parent = ""
        self.tokens = 0
        self.calls = 0
        # Log time of its last event.
        self.last_ms = 0
        self.watch = RunWatch()
        self.text = ""
        # What follows is looked up: the revision of the workspace at which it was, the purses
        # of budgets over its session, and those of budgets over other dimensions too.
        self.revision = -1
        self.purses = _NO_PURSES
        self.mixed = None
        # Of its last model call and of its last tool call: the next one's is mostly the same.
        self.model_route = None
        self.tool_route = None

    def key(self) -> str:
        if not self.text:
            names = (self.workspace, self.session, self.agent)
            self.text = "session|" + "|".join([encode_name(name) for name in names])
        return self.text

    def entry(self, stamp: int) -> LedgerEntry:
        return SessionEntry(
            workspace=self.workspace,
            session=self.session,
            agent=self.agent,
            parent=self.parent,
            tokens=self.tokens,
            calls=self.calls,
            last_event_ms=self.last_ms,
            watch=self.watch.pack(),
        )


# Of all runs of workspaces without a budget over sessions.
_NO_PURSES: Final[list[Purse]] = []
