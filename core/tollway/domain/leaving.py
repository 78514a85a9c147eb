"""What leaves the state when its time has come: from minutes to 35 days after its last event."""

from typing import Final

from tollway.domain.accounts import Account, Purse
from tollway.domain.agents import AgentNorm
from tollway.domain.calendar import FOREVER_MS, HOUR_MS, MINUTE_MS
from tollway.domain.crowding import GAPS, HOURS, MINUTES, NORMS, PRODUCERS, WORKSPACES, Crowds
from tollway.domain.dedup import HORIZON_HOURS, Producer
from tollway.domain.detectors import RUN_IDLE_MS, RunWatch, finish
from tollway.domain.matching import purse_key
from tollway.domain.runs import Run
from tollway.domain.spend import CARRIED, Hour, Minute
from tollway.domain.stateful import Changes, Stateful, Wheel
from tollway.domain.verdicts import Verdicts
from tollway.domain.workspaces import Workspace

__all__ = ["SESSION_IDLE_MS", "Sweeper"]

MINUTE_IDLE: Final = 15
RUN_IDLE_MINUTES: Final = RUN_IDLE_MS // MINUTE_MS
SESSION_IDLE_MS: Final = 7 * 24 * HOUR_MS
PRODUCER_IDLE_HOURS: Final = 7 * 24
HISTORY_HOURS: Final = 35 * 24
# Whoever runs once a month finds what its runs usually cost.
NORM_IDLE_HOURS: Final = 35 * 24


class Sweeper:
    """Turns the wheels of a partition when log time moves on."""

    __slots__ = (
        "accounts",
        "changes",
        "crowds",
        "history",
        "hollow",
        "hour",
        "minutes",
        "norms",
        "producers",
        "runs",
        "sessions",
        "verdicts",
        "workspaces",
    )

    def __init__(
        self,
        changes: Changes,
        verdicts: Verdicts,
        workspaces: dict[str, Workspace],
        crowds: Crowds,
    ) -> None:
        self.changes = changes
        self.verdicts = verdicts
        self.workspaces = workspaces
        self.crowds = crowds
        self.minutes = Wheel()
        self.runs = Wheel()
        self.sessions = Wheel()
        self.norms = Wheel()
        self.producers = Wheel()
        self.accounts = Wheel()
        self.history = Wheel()
        self.hour = 0
        # Purses that may hold no account any more. Routes lead to them until they are let go.
        self.hollow: set[Purse] = set()

    def turn(self, now_ms: int) -> None:
        """Lets go whatever is due; called whenever the minute of log time changes."""
        minute = now_ms // MINUTE_MS
        self.verdicts.turn(now_ms)
        for piece in self.minutes.turn(minute):
            assert isinstance(piece, Minute)
            self.fold(piece)
        self.crowds.trim(HOURS)
        # Of several that are due, the order is the log's, not the one in which they were listed:
        # a ledger that was restored lists them anew.
        for piece in sorted(self.runs.turn(minute), key=_by_last_event):
            assert isinstance(piece, Run)
            self.finish(self.workspaces[piece.workspace], piece)
            self.sessions.put(piece, (piece.last_ms + SESSION_IDLE_MS) // HOUR_MS + 1)
        self.close_hollow()
        if minute // 60 != self.hour:
            self.hour = minute // 60
            self._turn_hour(self.hour)

    def keep_minute(self, minute: Minute) -> None:
        self.minutes.put(minute, minute.touched + MINUTE_IDLE + 1)

    def keep_run(self, run: Run, now_ms: int) -> None:
        self.runs.put(run, now_ms // MINUTE_MS + RUN_IDLE_MINUTES + 1)

    def keep_norm(self, norm: AgentNorm, now_ms: int) -> None:
        slot = now_ms // HOUR_MS + NORM_IDLE_HOURS + 1
        if norm.slot != slot:
            self.norms.put(norm, slot)

    def keep_producer(self, producer: Producer, now_ms: int) -> None:
        self.producers.put(producer, now_ms // HOUR_MS + PRODUCER_IDLE_HOURS + 1)

    def keep_account(self, account: Account, now_ms: int) -> None:
        """Calendar windows leave when no event can be booked into them any more."""
        rule = account.rule
        if account.end_ms < FOREVER_MS:
            slot = account.end_ms // HOUR_MS + HORIZON_HOURS + 1
        elif rule.window == "run":
            slot = (now_ms + SESSION_IDLE_MS) // HOUR_MS + 1
        elif rule.rolling_ms:
            # Of the hour and not the moment: it is put anew once an hour.
            slot = now_ms // HOUR_MS + -(-rule.rolling_ms // HOUR_MS) + HORIZON_HOURS + 1
        else:
            return
        if account.slot != slot:
            self.accounts.put(account, slot)

    def keep_hour(self, hour: Hour) -> None:
        slot = hour.hour + HISTORY_HOURS + 1
        if hour.hour != CARRIED and hour.slot != slot:
            self.history.put(hour, slot)

    def finish(self, workspace: Workspace, run: Run) -> None:
        """Counts a run once among those that say what a run of its agent usually costs."""
        if not run.session:
            # No run, so its end is a pause: what the detectors remember begins anew.
            run.watch = RunWatch()
            self.changes.touch(run)
            return
        norm = workspace.norms.get(run.agent)
        if norm is not None and finish(run.watch, norm.norm):
            self.changes.touch(run)
            self.changes.touch(norm)

    def fold(self, minute: Minute) -> None:
        """Lets a minute go into its hour; what comes for it later opens it anew."""
        lane = minute.lane
        if minute.minute // 60 not in lane.hours:
            # Room is made when all that leave with it have: their order is not in the books.
            self.crowds.add(HOURS)
        hour = lane.close(minute)
        self.crowds.leave(MINUTES)
        self.changes.drop(minute)
        self.changes.touch(hour)
        self.keep_hour(hour)

    def carry(self, hour: Hour) -> None:
        """Lets an hour go into the sum of what its lane spent before."""
        self.changes.touch(hour.lane.carry(hour))
        self.changes.drop(hour)
        self.crowds.leave(HOURS)

    def close_run(self, run: Run) -> None:
        self.workspaces[run.workspace].forget_run(run)
        self.changes.drop(run)

    def close_norm(self, norm: AgentNorm) -> None:
        if self.workspaces[norm.workspace].norms.pop(norm.agent, None) is not None:
            self.crowds.leave(NORMS)
        self.changes.forget(norm)

    def close_producer(self, producer: Producer) -> None:
        if self.workspaces[producer.workspace].producers.pop(producer.producer, None) is not None:
            self.crowds.leave(PRODUCERS)
            self.crowds.leave(GAPS, len(producer.first))
        self.changes.drop(producer)

    def close_account(self, account: Account) -> None:
        workspace = self.workspaces[account.rule.workspace]
        purse = workspace.purses[purse_key(account.rule, account.subject)]
        purse.close(account)
        if not purse.accounts:
            self.hollow.add(purse)
        self.changes.drop(account)

    def close_if_empty(self, workspace: Workspace) -> None:
        """What is not in the books is not in memory either: a restored ledger is as large."""
        if workspace.is_empty() and self.workspaces.pop(workspace.name, None) is not None:
            self.crowds.leave(WORKSPACES)

    def close_hollow(self) -> None:
        """Lets empty purses go; between events, for whoever books one holds those it leads to."""
        if not self.hollow:
            return
        stale: set[str] = set()
        for purse in self.hollow:
            workspace = self.workspaces.get(purse.rule.workspace)
            key = purse_key(purse.rule, purse.subject)
            if workspace is None or purse.accounts or workspace.purses.get(key) is not purse:
                continue
            del workspace.purses[key]
            stale.add(workspace.name)
        self.hollow = set()
        self._settle_anew(stale)

    def _turn_hour(self, hour: int) -> None:
        stale: set[str] = set()
        for piece in self.sessions.turn(hour):
            assert isinstance(piece, Run)
            self.close_run(piece)
            stale.add(piece.workspace)
        for piece in self.norms.turn(hour):
            assert isinstance(piece, AgentNorm)
            self.close_norm(piece)
        for piece in self.producers.turn(hour):
            assert isinstance(piece, Producer)
            self.close_producer(piece)
            self.close_if_empty(self.workspaces[piece.workspace])
        for piece in self.accounts.turn(hour):
            assert isinstance(piece, Account)
            if piece.unpriced and hour < piece.last_ms // HOUR_MS + HISTORY_HOURS:
                # A later price is yet to be added to what it has; it is looked at each hour.
                self.accounts.put(piece, hour + 1)
                continue
            self.close_account(piece)
        for piece in self.history.turn(hour):
            assert isinstance(piece, Hour)
            self.carry(piece)
        self.close_hollow()
        self._settle_anew(stale)

    def _settle_anew(self, stale: set[str]) -> None:
        """Routes and runs may lead to what has left."""
        for name in stale:
            if name in self.workspaces:
                self.workspaces[name].change_purses()


def _by_last_event(piece: Stateful) -> tuple[int, str]:
    assert isinstance(piece, Run)
    return piece.last_ms, piece.key()
