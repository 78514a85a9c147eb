"""All that the ledger remembers of one workspace."""

import msgspec

from tollway.contract.command import Policy
from tollway.contract.ledger_entries import (
    DocumentEntry,
    LedgerEntry,
    NormEntry,
    PendingEntry,
    SessionEntry,
    UnpricedEntry,
)
from tollway.contract.subjects import Subject, encode_name
from tollway.contract.usage import UsageEvent
from tollway.domain.budgets import Account, Purse, Rule
from tollway.domain.charging import price_part
from tollway.domain.dedup import Producer
from tollway.domain.detectors import Norm, Profile, RunWatch, profile_of
from tollway.domain.prices import Rates
from tollway.domain.spend import Lane, LaneKey
from tollway.domain.stateful import Stateful

__all__ = [
    "AgentNorm",
    "Document",
    "Pending",
    "Priced",
    "Route",
    "Run",
    "Unpriced",
    "Workspace",
    "purse_key",
]

# How far a child's spend is counted upwards.
MAX_ANCESTORS = 8


class Run(Stateful):
    """One run of one agent: its totals and what the detectors remember. Session "" is no run."""

    __slots__ = (
        "agent",
        "calls",
        "last_ms",
        "parent",
        "session",
        "text",
        "tokens",
        "watch",
        "workspace",
    )

    def __init__(self, workspace: str, session: str, agent: str) -> None:
        super().__init__()
        names = (workspace, session, agent)
        self.text = "session|" + "|".join(encode_name(name) for name in names)
        self.workspace = workspace
        self.session = session
        self.agent = agent
        self.parent = ""
        self.tokens = 0
        self.calls = 0
        # Log time of its last event.
        self.last_ms = 0
        self.watch = RunWatch()

    def key(self) -> str:
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


class Pending(Stateful):
    """An event without a price, kept so that a later price can charge it."""

    __slots__ = ("booked_ms", "cost", "event", "offset")

    def __init__(self, event: UsageEvent, booked_ms: int, offset: int, cost: int) -> None:
        super().__init__()
        self.event = event
        self.booked_ms = booked_ms
        self.offset = offset
        self.cost = cost

    def key(self) -> str:
        return f"pending|{encode_name(self.event.workspace)}|{self.offset}|{self.booked_ms}"

    def entry(self, stamp: int) -> LedgerEntry:
        return PendingEntry(
            event=self.event, booked_ms=self.booked_ms, offset=self.offset, cost_pico=self.cost
        )


class Unpriced(Stateful):
    """A model of a workspace without a price, and how many of its events wait for one."""

    __slots__ = ("events", "model", "provider", "since_ms", "waiting", "workspace")

    def __init__(self, workspace: str, provider: str, model: str, since_ms: int) -> None:
        super().__init__()
        self.workspace = workspace
        self.provider = provider
        self.model = model
        self.events = 0
        self.since_ms = since_ms
        self.waiting: list[Pending] = []

    def key(self) -> str:
        names = (self.workspace, self.provider, self.model)
        return "unpriced|" + "|".join(encode_name(name) for name in names)

    def entry(self, stamp: int) -> LedgerEntry:
        return UnpricedEntry(
            workspace=self.workspace,
            provider=self.provider,
            model=self.model,
            events=self.events,
            since_ms=self.since_ms,
        )


class Priced:
    """The rates of a model, or that it has none, and from when to when that is known."""

    __slots__ = ("from_ms", "price_text", "rates", "to_ms")

    rates: Rates | None
    from_ms: int
    to_ms: int

    def __init__(self, rates: Rates | None, from_ms: int, to_ms: int) -> None:
        self.rates = rates
        self.from_ms = from_ms
        self.to_ms = to_ms
        self.price_text = "" if rates is None else price_part("priced", rates.source, rates.version)


class Route:
    """What one tuple of dimensions touches: looked up once, then held by the very pieces."""

    __slots__ = (
        "book_revision",
        "calls",
        "context_window",
        "head",
        "lane",
        "norm",
        "price_text",
        "purses",
        "rates",
        "rates_from",
        "rates_to",
        "run",
        "tool_cost",
        "tool_from",
        "tool_to",
    )

    purses: list[Purse]
    rates: Rates | None

    def __init__(self, lane: Lane, run: Run, norm: AgentNorm, head: str) -> None:
        self.lane = lane
        self.run = run
        self.norm = norm
        self.head = head
        self.purses = []
        self.context_window = 0
        # How many calls an event of this route counts for: 1 for models and tools.
        self.calls = 0
        self.rates = None
        self.price_text = ""
        self.book_revision = -1
        # Empty ranges: the first event looks the prices up.
        self.rates_from = 0
        self.rates_to = 0
        self.tool_cost = -1
        self.tool_from = 0
        self.tool_to = 0

    def accounts_at(self, at_ms: int) -> list[Account]:
        found = [purse.at(at_ms) for purse in self.purses]
        return [account for account in found if account is not None]


class Workspace:
    """One workspace: rules, accounts, minutes, runs, producers, and the routes to them."""

    __slots__ = (
        "documents",
        "heirs",
        "lanes",
        "name",
        "norms",
        "parents",
        "policy",
        "priced",
        "priced_revision",
        "producers",
        "profile",
        "purses",
        "routes",
        "rules",
        "runs",
        "unpriced",
    )

    routes: dict[tuple[str | None, ...], Route]
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
    priced: dict[tuple[str | None, str, str | None], Priced]

    def __init__(self, name: str) -> None:
        self.name = name
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
        self.policy = Policy()
        self.profile: Profile = profile_of(self.policy)

    def set_policy(self, policy: Policy) -> None:
        self.policy = policy
        self.profile = profile_of(policy)

    def learn_parent(self, run: Run, parent: str) -> None:
        """A session keeps the first parent named for it, until the last run that knows it left."""
        known = self.parents.get(run.session, "")
        if not known:
            if not parent or not run.session:
                return
            known = self.parents[run.session] = parent
            # Routes of this session's children lead to new ancestors too.
            self.routes.clear()
        if not run.parent:
            run.parent = known
            self.heirs[run.session] = self.heirs.get(run.session, 0) + 1

    def forget_run(self, run: Run) -> None:
        """Lets a run go, and its session's parent with the last run that knows it."""
        self.runs.pop((run.session, run.agent), None)
        if not run.parent:
            return
        self.heirs[run.session] -= 1
        if not self.heirs[run.session]:
            del self.heirs[run.session], self.parents[run.session]

    def lineage(self, session: str) -> list[str]:
        """The session, its parent, and so on upwards: all whose budgets its spend counts to."""
        chain = [session]
        while len(chain) < MAX_ANCESTORS:
            parent = self.parents.get(chain[-1])
            if not parent or parent in chain:
                break
            chain.append(parent)
        return chain

    def purse(self, rule: Rule, subject: Subject, partition: int) -> Purse:
        key = purse_key(rule, subject)
        purse = self.purses.get(key)
        if purse is None:
            purse = Purse(rule, subject, partition)
            self.purses[key] = purse
        return purse

    def purses_of(self, values: dict[str, str], partition: int) -> list[Purse]:
        """The purses of all budgets that match these values; parents of the session included."""
        found: list[Purse] = []
        sessions = self.lineage(values["session"]) if values["session"] else [""]
        for rule in self.rules.values():
            lines = sessions if "session" in rule.dimensions else sessions[:1]
            for session in lines:
                same = session == values["session"]
                subject = _subject(rule, values if same else {**values, "session": session})
                if subject is not None:
                    found.append(self.purse(rule, subject, partition))
        return found


def purse_key(rule: Rule, subject: Subject) -> tuple[str, ...]:
    return (rule.budget.id, *[subject[name] for name in rule.dimensions])


def _subject(rule: Rule, values: dict[str, str]) -> Subject | None:
    """The budget's subject that these values belong to; None where they do not match."""
    subject: Subject = {}
    for name in rule.dimensions:
        value = values[name]
        if not value or rule.fixed.get(name, value) != value:
            return None
        subject[name] = value
    return subject
