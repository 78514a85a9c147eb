"""All that the ledger remembers of one workspace."""

from typing import Final

import msgspec

from tollway.contract.command import Policy
from tollway.contract.ledger_entries import DocumentEntry, LedgerEntry
from tollway.contract.subjects import Subject, encode_name
from tollway.domain.accounts import Account, Purse
from tollway.domain.agents import AgentNorm
from tollway.domain.budgets import Rule
from tollway.domain.crowding import LANES, NORMS, ROUTES, RUNS, Crowds
from tollway.domain.dedup import Producer
from tollway.domain.detectors import Profile, profile_of
from tollway.domain.matching import purse_key, subject_of, values_of
from tollway.domain.routes import Priced, Route, RouteKey, route_key
from tollway.domain.runs import Run
from tollway.domain.spend import Lane, LaneKey
from tollway.domain.stateful import Stateful
from tollway.domain.usage import Usage
from tollway.domain.waiting import Unpriced

__all__ = ["Document", "Workspace"]

# How far a child's spend is counted upwards.
MAX_ANCESTORS: Final = 8
# Routes whose purses a run holds at hand, where budgets name both; past that it looks them up.
MAX_MIXED: Final = 64


class Document(Stateful):
    """A budget, price, tool price or policy in force, as it was written."""

    __slots__ = ("commands_offset", "kind", "name", "since_ms", "text", "workspace")

    def __init__(self, workspace: str, kind: str, name: str) -> None:
        super().__init__()
        self.workspace = workspace
        self.kind = kind
        self.name = name
        self.text = b"null"
        self.commands_offset = -1
        self.since_ms = 0

    def key(self) -> str:
        return f"document|{encode_name(self.workspace)}|{self.kind}|{encode_name(self.name)}"

    def entry(self, stamp: int) -> LedgerEntry:
        return DocumentEntry(
            workspace=self.workspace,
            kind=self.kind,
            name=self.name,
            document=msgspec.Raw(self.text),
            commands_offset=self.commands_offset,
            since_ms=self.since_ms,
        )


class Workspace:
    """One workspace: rules, accounts, minutes, runs, producers, and the routes to them."""

    __slots__ = (
        "crowds",
        "documents",
        "has_mixed",
        "heirs",
        "lanes",
        "name",
        "norms",
        "parents",
        "partition",
        "policy",
        "priced",
        "priced_revision",
        "producers",
        "profile",
        "purses",
        "revision",
        "routes",
        "rules",
        "runs",
        "unpriced",
    )

    routes: dict[RouteKey, Route]
    rules: dict[str, Rule]
    # By budget, and the values of its dimensions in their order.
    purses: dict[tuple[str, ...], Purse]
    lanes: dict[LaneKey, Lane]
    producers: dict[str, Producer]
    runs: dict[tuple[str, str], Run]
    norms: dict[str, AgentNorm]
    parents: dict[str, str]
    heirs: dict[str, int]
    documents: dict[tuple[str, str], Document]
    unpriced: dict[tuple[str, str], Unpriced]
    priced: dict[tuple[str, str, str], Priced]

    def __init__(self, name: str, partition: int, crowds: Crowds) -> None:
        self.name = name
        self.partition = partition
        self.crowds = crowds
        self.routes = {}
        self.rules = {}
        self.purses = {}
        self.lanes = {}
        self.producers = {}
        self.runs = {}
        self.norms = {}
        # Of a session, the session that started it, and how many runs remember that.
        self.parents = {}
        self.heirs = {}
        self.documents = {}
        self.unpriced = {}
        self.priced = {}
        self.priced_revision = -1
        # Rises when purses that routes and runs hold at hand may be others than before.
        self.revision = 0
        # Whether a budget names the session and dimensions that no run has of itself.
        self.has_mixed = False
        self.policy = Policy()
        self.profile: Profile = profile_of(self.policy)

    def set_policy(self, policy: Policy) -> None:
        self.policy = policy
        self.profile = profile_of(policy)

    def change_purses(self) -> None:
        """Makes routes and runs look their purses up anew: budgets changed, or accounts left."""
        self.revision += 1
        self.has_mixed = any(rule.is_mixed for rule in self.rules.values())

    def lane(self, dimensions: LaneKey) -> Lane:
        lane = self.lanes.get(dimensions)
        if lane is None:
            self.crowds.enter(LANES)
            # Whoever made room may have opened it, for what others had spent.
            if dimensions in self.lanes:
                self.crowds.leave(LANES)
            lane = self.lanes.setdefault(dimensions, Lane(self.name, dimensions))
        return lane

    def norm(self, agent: str) -> AgentNorm:
        norm = self.norms.get(agent)
        if norm is None:
            self.crowds.enter(NORMS)
            norm = self.norms[agent] = AgentNorm(self.name, agent)
        return norm

    def run(self, session: str, agent: str) -> Run:
        run = self.runs.get((session, agent))
        if run is None:
            self.crowds.enter(RUNS)
            run = self.runs[(session, agent)] = Run(self.name, session, agent)
        return run

    def route(self, run: Run, usage: Usage) -> Route:
        """The route of an event of that run."""
        route = run.model_route if usage.kind == "llm" else run.tool_route
        if route is not None and route.leads(usage) and usage.kind != "outcome":
            return route
        key = route_key(usage)
        route = self.routes.get(key)
        if route is None:
            self.crowds.enter(ROUTES)
            route = self.routes[key] = self._open_route(usage)
        if usage.kind == "llm":
            run.model_route = route
        elif usage.kind == "tool":
            run.tool_route = route
        return route

    def _open_route(self, usage: Usage) -> Route:
        lane = self.lane(
            (
                usage.agent,
                usage.provider,
                usage.model,
                usage.connection,
                usage.tool,
                usage.user,
                usage.customer,
            )
        )
        return Route(usage, lane, self.partition)

    def forget_routes(self) -> None:
        self.crowds.leave(ROUTES, len(self.routes))
        self.routes.clear()
        self.priced.clear()

    def settle_route(self, route: Route) -> None:
        """Looks up the lane, which may have left, and the purses without budgets over sessions."""
        route.lane = self.lane(route.lane.dimensions)
        route.revision = self.revision
        route.purses = []
        values = values_of(route)
        for rule in self.rules.values():
            if not rule.of_sessions:
                subject = subject_of(rule, values)
                if subject is not None:
                    route.purses.append(self.purse(rule, subject))

    def settle_run(self, run: Run, parent: str) -> None:
        """Learns of a parent, and looks up the purses of budgets over the run's session."""
        self.learn_parent(run, parent)
        run.revision = self.revision
        run.mixed = None
        purses: list[Purse] = []
        if run.session:
            for rule in self.rules.values():
                if rule.of_sessions and not rule.is_mixed:
                    self._add_purses(purses, rule, run, {"agent": run.agent})
        run.purses = purses

    def mixed_purses(self, run: Run, route: Route) -> list[Purse]:
        """Of budgets over the session and dimensions of the route, such as its model."""
        if run.mixed is None:
            run.mixed = {}
        purses = run.mixed.get(route)
        if purses is None:
            if len(run.mixed) >= MAX_MIXED:
                run.mixed.clear()
            purses = run.mixed[route] = []
            for rule in self.rules.values():
                if rule.is_mixed and run.session:
                    self._add_purses(purses, rule, run, values_of(route))
        return purses

    def _add_purses(
        self, purses: list[Purse], rule: Rule, run: Run, values: dict[str, str]
    ) -> None:
        """Of the session and of its parents: a child's spend is theirs too."""
        for session in self.lineage(run.session):
            subject = subject_of(rule, {**values, "session": session})
            if subject is not None:
                purses.append(self.purse(rule, subject))

    def purses_of(self, run: Run, route: Route) -> list[Purse]:
        """Of all budgets that an event of that run and route counts for."""
        if route.revision != self.revision:
            self.settle_route(route)
        if run.revision != self.revision:
            self.settle_run(run, "")
        mixed = self.mixed_purses(run, route) if self.has_mixed else []
        return [*route.purses, *run.purses, *mixed]

    def accounts_at(self, run: Run, route: Route, at_ms: int) -> list[Account]:
        purses = self.purses_of(run, route)
        # Twice: who was found first may have made room for the others.
        found = [purse.at(at_ms) for purse in (*purses, *purses)][len(purses) :]
        return [account for account in found if account is not None]

    def learn_parent(self, run: Run, parent: str) -> None:
        """A session keeps the first parent named for it, until the last run that knows it left."""
        known = self.parents.get(run.session, "")
        if not known:
            if not parent or not run.session:
                return
            known = self.parents[run.session] = parent
            # Runs of this session's children lead to new ancestors too.
            self.change_purses()
        if not run.parent:
            run.parent = known
            self.heirs[run.session] = self.heirs.get(run.session, 0) + 1

    def forget_run(self, run: Run) -> None:
        """Lets a run go, and its session's parent with the last run that knows it."""
        if self.runs.pop((run.session, run.agent), None) is not None:
            self.crowds.leave(RUNS)
        if not run.parent:
            return
        self.heirs[run.session] -= 1
        if not self.heirs[run.session]:
            del self.heirs[run.session], self.parents[run.session]
            self.change_purses()

    def lineage(self, session: str) -> list[str]:
        """The session, its parent, and so on upwards: all whose budgets its spend counts to."""
        chain = [session]
        while len(chain) < MAX_ANCESTORS:
            parent = self.parents.get(chain[-1])
            if not parent or parent in chain:
                break
            chain.append(parent)
        return chain

    def purse(self, rule: Rule, subject: Subject) -> Purse:
        key = purse_key(rule, subject)
        purse = self.purses.get(key)
        if purse is None:
            purse = self.purses[key] = Purse(rule, subject, self.partition, self.crowds)
        return purse

    def is_empty(self) -> bool:
        """Whether nothing of it is in the books."""
        held = self.documents or self.lanes or self.runs or self.norms or self.producers
        return not (held or self.unpriced or self.purses)
