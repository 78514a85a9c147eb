"""Routes: what one tuple of dimensions touches, of whatever run; looked up once."""

from typing import Final

from tollway.domain.accounts import Purse
from tollway.domain.agents import NOBODYS, AgentNorm
from tollway.domain.charging import charge_head, price_part
from tollway.domain.prices import Rates
from tollway.domain.spend import Lane
from tollway.domain.usage import Usage

__all__ = ["FREE", "Priced", "Route", "RouteKey", "route_key"]

# What charges of events say that cost nothing by themselves.
FREE: Final = price_part("free", "", "")
RouteKey = tuple[str, str, str, str, str, str, str, str, str, str]


def route_key(usage: Usage) -> RouteKey:
    """All that decides which lane, price and budgets without a session an event belongs to."""
    return (
        usage.agent,
        usage.model,
        usage.tool,
        usage.kind,
        usage.provider,
        usage.connection,
        usage.user,
        usage.customer,
        usage.service_tier,
        usage.source,
    )


class Priced:
    """The rates of a model, or that it has none, and from when to when that is known."""

    __slots__ = ("from_ms", "rates", "text", "to_ms")

    def __init__(self, rates: Rates | None, from_ms: int, to_ms: int) -> None:
        self.rates: Rates | None = rates
        self.from_ms: int = from_ms
        self.to_ms: int = to_ms
        # How it was priced, as charges say it.
        self.text: bytes = (
            b"" if rates is None else price_part("priced", rates.source, rates.version)
        )


class Route:
    """The lane, the price and the purses of all events of one `RouteKey` of a workspace."""

    __slots__ = (
        "book_revision",
        "calls",
        "connection",
        "context_window",
        "customer",
        "free_head",
        "head",
        "lane",
        "model",
        "norm",
        "priced",
        "priced_head",
        "prices_tool",
        "provider",
        "purses",
        "revision",
        "service_tier",
        "source",
        "tool",
        "tool_cost",
        "tool_from",
        "tool_to",
        "user",
    )

    purses: list[Purse]

    def __init__(self, usage: Usage, lane: Lane, partition: int) -> None:
        self.lane: Lane = lane
        # Looked up when there is something to note.
        self.norm: AgentNorm = NOBODYS
        self.head: bytes = charge_head(usage, partition)
        self.free_head: bytes = self.head + FREE
        self.model: str = usage.model
        self.tool: str = usage.tool
        self.provider: str = usage.provider
        self.connection: str = usage.connection
        self.user: str = usage.user
        self.customer: str = usage.customer
        self.service_tier: str = usage.service_tier
        self.source: str = usage.source
        # How many calls an event counts for: 1 for models and tools.
        self.calls: int = 1 if usage.kind == "llm" or usage.kind == "tool" else 0
        self.prices_tool: bool = usage.kind == "tool" and usage.tool != ""
        self.context_window: int = 0
        # The revision of the workspace at which its purses were looked up.
        self.revision: int = -1
        self.purses = []
        # Of the price book; until then, and in an empty range, the next event looks prices up.
        self.book_revision: int = -1
        self.priced: Priced | None = None
        self.priced_head: bytes = b""
        self.tool_cost: int = -1
        self.tool_from: int = 0
        self.tool_to: int = 0

    def leads(self, usage: Usage) -> bool:
        """Whether it is the route of an event of the same agent and kind."""
        return (
            self.model == usage.model
            and self.tool == usage.tool
            and self.provider == usage.provider
            and self.connection == usage.connection
            and self.source == usage.source
            and self.user == usage.user
            and self.customer == usage.customer
            and self.service_tier == usage.service_tier
        )

    def price_by(self, priced: Priced) -> None:
        self.priced = priced
        self.priced_head = self.head + priced.text

    def forget_prices(self, book_revision: int) -> None:
        self.book_revision = book_revision
        self.priced = None
        self.tool_to = self.tool_from
