"""How each kind of state makes room: what leaves before its time, and what becomes of it."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from tollway.domain.accounts import Account
from tollway.domain.agents import AgentNorm
from tollway.domain.calendar import MINUTE_MS
from tollway.domain.crowding import (
    ACCOUNTS,
    HOURS,
    LANES,
    LIMITS,
    MINUTES,
    NORMS,
    PENDING,
    PRODUCERS,
    ROUTES,
    RUNS,
    WORKSPACES,
    Crowds,
    least_needed,
    surplus,
)
from tollway.domain.dedup import Producer
from tollway.domain.leaving import Sweeper
from tollway.domain.runs import Run
from tollway.domain.spend import ANY, CARRIED, Hour, Lane, LaneKey, Minute
from tollway.domain.stateful import Changes, Wheel
from tollway.domain.verdicts import Moment, Verdicts
from tollway.domain.workspaces import Workspace

__all__ = ["Relief"]

# The share of its limit that an account has spent counts in such parts.
_SHARES: Final = 1_000_000
# Of a limit of nothing everybody has spent more than of any other.
_ALL: Final = 1 << 120


class Relief(Crowds):
    """Lets go what does least harm; money is never among it, nor a block that stands."""

    __slots__ = ("_ways", "_wheels", "changes", "moment", "sweeper", "verdicts", "workspaces")

    def __init__(self, counts: dict[str, int], changes: Changes, moment: Moment) -> None:
        super().__init__(counts)
        self.changes = changes
        self.moment = moment
        self.workspaces: dict[str, Workspace] = {}
        self.verdicts = Verdicts(changes, self)
        self.sweeper = Sweeper(changes, self.verdicts, self.workspaces, self)
        self._ways: dict[str, Callable[[int], None]] = {
            ACCOUNTS: self._accounts,
            HOURS: self._hours,
            LANES: self._lanes,
            MINUTES: self._minutes,
            NORMS: self._norms,
            PRODUCERS: self._producers,
            ROUTES: self._routes,
            RUNS: self._runs,
            WORKSPACES: self._workspaces,
        }
        turning = self.sweeper
        # Where pieces of a kind, and those that leave with them, are listed.
        self._wheels: dict[str, tuple[Wheel, ...]] = {
            ACCOUNTS: (turning.accounts,),
            LANES: (turning.minutes, turning.history),
            NORMS: (turning.norms,),
            PRODUCERS: (turning.producers,),
            RUNS: (turning.runs, turning.sessions),
            WORKSPACES: (
                *(turning.minutes, turning.history, turning.norms),
                *(turning.producers, turning.runs, turning.sessions),
            ),
        }

    def make_room(self, kind: str, count: int) -> None:
        before = self.sizes[kind]
        self._ways[kind](count)
        left = before - self.sizes[kind]
        if left and kind != ROUTES:
            self.note(kind, left)
            for wheel in self._wheels.get(kind, ()):
                wheel.strike_off()

    def settle(self) -> None:
        """After commands, which make no room: a new budget opens all accounts that it counts."""
        if (excess := self.sizes[ACCOUNTS] - LIMITS[ACCOUNTS]) > 0:
            self.make_room(ACCOUNTS, excess)

    def _routes(self, count: int) -> None:
        """They are looked up anew."""
        for workspace in self.workspaces.values():
            workspace.forget_routes()

    def _runs(self, count: int) -> None:
        """What the detectors know of them is gone; accounts of their sessions stay."""
        spaces = self.workspaces.values()
        for run in least_needed([space.runs.values() for space in spaces], count, _run_need):
            if run.session:
                self.sweeper.finish(self.workspaces[run.workspace], run)
            self.sweeper.close_run(run)

    def _norms(self, count: int) -> None:
        """An agent that comes again is one of whom nothing is known."""
        spaces = self.workspaces.values()
        for norm in least_needed([space.norms.values() for space in spaces], count, _norm_need):
            self.sweeper.close_norm(norm)

    def _producers(self, count: int) -> None:
        """What they send a second time is told by its fingerprint alone."""
        spaces = self.workspaces.values()
        idle = least_needed([space.producers.values() for space in spaces], count, _producer_need)
        for producer in idle:
            self.sweeper.close_producer(producer)
            if producer.workspace != self.busy:
                self.sweeper.close_if_empty(self.workspaces[producer.workspace])

    def _accounts(self, count: int) -> None:
        """Of the budget that has most: windows that are over, then who has spent least of a limit.

        Who comes again counts from nothing. A verdict outlives its account.
        """
        budgets: dict[tuple[str, str], list[Account]] = {}
        for workspace in self.workspaces.values():
            for purse in workspace.purses.values():
                group = budgets.setdefault((workspace.name, purse.rule.name), [])
                group += purse.accounts.values()
        for account in least_needed(list(budgets.values()), count, self._account_need):
            self.sweeper.close_account(account)

    def _account_need(self, account: Account) -> tuple[bool, bool, int, int, int, str, str, str]:
        rule = account.rule
        share = account.amount() * _SHARES // rule.limit if rule.limit else _ALL
        return (
            account.end_ms > self.moment.time_ms,
            # A later price is yet to be added to what it has.
            account.unpriced > 0,
            share,
            account.touched_ms,
            account.start_ms,
            account.subject_text,
            rule.workspace,
            rule.name,
        )

    def _lanes(self, count: int) -> None:
        """What they spent is remembered without their user and customer, or without a name."""
        target = self.sizes[LANES] - count
        stale: set[str] = set()
        while (excess := self.sizes[LANES] - target) > 0:
            groups = [
                [lane for lane in space.lanes.values() if lane.dimensions != ANY]
                for space in self.workspaces.values()
            ]
            # Of two that become one, one leaves.
            chosen = least_needed(groups, 2 * excess, _lane_need)
            if not chosen:
                break
            alike = Counter((lane.workspace, _wider(lane)) for lane in chosen)
            for lane in chosen:
                if self.sizes[LANES] <= target:
                    break
                wider = _wider(lane)
                lanes = self.workspaces[lane.workspace].lanes
                is_shared = wider in lanes or alike[lane.workspace, wider] > 1
                self._merge(lane, wider if is_shared else ANY)
                stale.add(lane.workspace)
        for name in stale:
            self.workspaces[name].forget_routes()
            self.workspaces[name].change_purses()
        self.trim(HOURS)

    def _merge(self, lane: Lane, dimensions: LaneKey) -> None:
        workspace = self.workspaces[lane.workspace]
        for minute in list(lane.minutes.values()):
            self.sweeper.fold(minute)
        into = workspace.lane(dimensions)
        while lane.hours:
            number, hour = lane.hours.popitem()
            self.changes.forget(hour)
            held = into.hours.get(number)
            if held is None:
                held = into.hours[number] = Hour(into, number)
            elif number != CARRIED:
                self.leave(HOURS)
            held.add_all(hour)
            self.changes.touch(held)
            self.sweeper.keep_hour(held)
        del workspace.lanes[lane.dimensions]
        self.leave(LANES)

    def _minutes(self, count: int) -> None:
        """They open anew with their next event, and queries add what they have."""
        wheel, target = self.sweeper.minutes, self.sizes[MINUTES] - count
        while self.sizes[MINUTES] > target and wheel.slots:
            for piece in wheel.take_oldest():
                assert isinstance(piece, Minute)
                self.sweeper.fold(piece)
        self.trim(HOURS)

    def _hours(self, count: int) -> None:
        """A budget of a day, a week or a month that is made later does not count them."""
        wheel, target = self.sweeper.history, self.sizes[HOURS] - count
        while self.sizes[HOURS] > target and wheel.slots:
            for piece in wheel.take_oldest():
                assert isinstance(piece, Hour)
                self.sweeper.carry(piece)

    def _workspaces(self, count: int) -> None:
        """Those idle longest for which nobody has set anything: they begin anew if they return."""
        plain = [space for space in self.workspaces.values() if not space.documents]
        if len(plain) < LIMITS[WORKSPACES]:
            return
        for workspace in least_needed([plain], surplus(WORKSPACES, len(plain)), _workspace_need):
            self._close_workspace(workspace)

    def _close_workspace(self, workspace: Workspace) -> None:
        for run in list(workspace.runs.values()):
            self.sweeper.close_run(run)
        for norm in list(workspace.norms.values()):
            self.sweeper.close_norm(norm)
        for producer in list(workspace.producers.values()):
            self.sweeper.close_producer(producer)
        for unpriced in workspace.unpriced.values():
            for waiting in unpriced.waiting:
                self.changes.forget(waiting)
            self.changes.forget(unpriced)
            self.leave(PENDING, len(unpriced.waiting))
            self.note(PENDING, len(unpriced.waiting))
        for lane in workspace.lanes.values():
            for minute in lane.minutes.values():
                self.changes.drop(minute)
            for hour in lane.hours.values():
                self.changes.forget(hour)
            self.leave(MINUTES, len(lane.minutes))
            self.leave(HOURS, sum(1 for number in lane.hours if number != CARRIED))
            # They lead back to their lane, and what the worker has frozen nobody collects.
            lane.minutes.clear()
            lane.hours.clear()
            lane.current = None
        self.leave(LANES, len(workspace.lanes))
        workspace.forget_routes()
        del self.workspaces[workspace.name]
        self.leave(WORKSPACES)


def _wider(lane: Lane) -> LaneKey:
    agent, provider, model, connection, tool, user, customer = lane.dimensions
    return (agent, provider, model, connection, tool, "", "") if user or customer else ANY


def _run_need(run: Run) -> tuple[int, str, str, str]:
    return run.last_ms, run.workspace, run.session, run.agent


def _norm_need(norm: AgentNorm) -> tuple[int, str, str]:
    return norm.last_ms, norm.workspace, norm.agent


def _producer_need(producer: Producer) -> tuple[int, str, str]:
    return producer.last_ms, producer.workspace, producer.producer


def _lane_need(lane: Lane) -> tuple[int, str]:
    return lane.newest(), lane.text


def _workspace_need(workspace: Workspace) -> tuple[int, str]:
    newest = [lane.newest() for lane in workspace.lanes.values()]
    newest += [producer.last_ms // MINUTE_MS for producer in workspace.producers.values()]
    return max(newest, default=-1), workspace.name


assert LIMITS[WORKSPACES] < LIMITS[LANES], "each workspace keeps one lane"
