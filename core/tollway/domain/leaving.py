"""What leaves the state, and when: minutes, runs, producers, accounts and history, by log time."""

from typing import Final

from tollway.domain.accounts import Account
from tollway.domain.calendar import FOREVER_MS, HOUR_MS, MINUTE_MS
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


class Sweeper:
    """Turns the wheels of a partition when log time moves on."""

    __slots__ = (
        "accounts",
        "changes",
        "history",
        "hour",
        "minutes",
        "producers",
        "runs",
        "sessions",
        "verdicts",
        "workspaces",
    )

    def __init__(
        self, changes: Changes, verdicts: Verdicts, workspaces: dict[str, Workspace]
    ) -> None:
        self.changes = changes
        self.verdicts = verdicts
        self.workspaces = workspaces
        self.minutes = Wheel()
        self.runs = Wheel()
        self.sessions = Wheel()
        self.producers = Wheel()
        self.accounts = Wheel()
        self.history = Wheel()
        self.hour = 0

    def turn(self, now_ms: int) -> None:
        """Lets go whatever is due; called whenever the minute of log time changes."""
        minute = now_ms // MINUTE_MS
        self.verdicts.turn(now_ms)
        for piece in self.minutes.turn(minute):
            assert isinstance(piece, Minute)
            self._fold(piece)
        # Of several that are due, the order is the log's, not the one in which they were listed:
        # a ledger that was restored lists them anew.
        for piece in sorted(self.runs.turn(minute), key=_by_last_event):
            assert isinstance(piece, Run)
            self.finish(self.workspaces[piece.workspace], piece)
            self.sessions.put(piece, (piece.last_ms + SESSION_IDLE_MS) // HOUR_MS + 1)
        if minute // 60 != self.hour:
            self.hour = minute // 60
            self._turn_hour(self.hour)

    def keep_minute(self, minute: Minute) -> None:
        self.minutes.put(minute, minute.touched + MINUTE_IDLE + 1)

    def keep_run(self, run: Run, now_ms: int) -> None:
        self.runs.put(run, now_ms // MINUTE_MS + RUN_IDLE_MINUTES + 1)

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
            norm.last_ms = run.last_ms
            self.changes.touch(run)
            self.changes.touch(norm)

    def _fold(self, minute: Minute) -> None:
        hour = minute.lane.close(minute)
        self.changes.drop(minute)
        self.changes.touch(hour)
        self.keep_hour(hour)

    def _turn_hour(self, hour: int) -> None:
        stale: set[str] = set()
        for piece in self.sessions.turn(hour):
            assert isinstance(piece, Run)
            self.workspaces[piece.workspace].forget_run(piece)
            self.changes.drop(piece)
            stale.add(piece.workspace)
        for piece in self.producers.turn(hour):
            assert isinstance(piece, Producer)
            self.workspaces[piece.workspace].producers.pop(piece.producer, None)
            self.changes.drop(piece)
        for piece in self.accounts.turn(hour):
            assert isinstance(piece, Account)
            if piece.unpriced and hour < piece.last_ms // HOUR_MS + HISTORY_HOURS:
                # A later price is yet to be added to what it has; it is looked at each hour.
                self.accounts.put(piece, hour + 1)
                continue
            self._drop_account(piece)
            stale.add(piece.rule.workspace)
        for piece in self.history.turn(hour):
            assert isinstance(piece, Hour)
            self.changes.touch(piece.lane.carry(piece))
            self.changes.drop(piece)
        for name in stale:
            # Routes and runs may lead to what has left.
            self.workspaces[name].change_purses()

    def _drop_account(self, account: Account) -> None:
        workspace = self.workspaces[account.rule.workspace]
        key = purse_key(account.rule, account.subject)
        purse = workspace.purses.get(key)
        if purse is not None:
            purse.accounts.pop(account.start_ms, None)
            if purse.current is account:
                purse.current, purse.start_ms, purse.end_ms = None, 0, 0
            if not purse.accounts:
                del workspace.purses[key]
        self.changes.drop(account)


def _by_last_event(piece: Stateful) -> tuple[int, str]:
    assert isinstance(piece, Run)
    return piece.last_ms, piece.key()
