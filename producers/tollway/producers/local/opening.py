"""The doors of sessions: `meter.session`, `meter.track_tool`, `meter.report`."""

import uuid
from decimal import Decimal
from typing import Literal, Unpack

from tollway.contract.command import DetectorParameters, Policy
from tollway.domain.detectors import DETECTORS
from tollway.producers import process
from tollway.producers.ambient import Fields, run_books
from tollway.producers.amounts import Amount, amount_pico, usd
from tollway.producers.local.books import Books, Unpriced
from tollway.producers.local.limits import Limits
from tollway.producers.local.prices import prices
from tollway.producers.local.reports import Report, report_of
from tollway.producers.local.session import Hooks, Session
from tollway.producers.recorder import UNATTRIBUTED
from tollway.producers.tools import Cost, Tracked, toll

__all__ = ["process_books", "report", "session", "set_price", "track_tool"]


class Options(Hooks, total=False):
    """What else a session may be given."""

    profile: Literal["production", "compat"]
    # Thresholds of detectors that differ from the profile's, or detectors that are off.
    detectors: DetectorParameters
    unpriced: Unpriced
    user: str | None
    customer: str | None
    connection: str | None
    task: str | None
    tags: dict[str, str] | None


_ATTRIBUTION = ("user", "customer", "connection", "task", "tags")


def session(
    budget: Amount | None = None,
    *,
    agent: str | None = None,
    session: str | None = None,
    soft: float = 0.9,
    reserve: float = 0.0,
    **options: Unpack[Options],
) -> Session:
    """One run of an agent, with a budget in dollars of its own: ``with meter.session("5.00"):``.

    `soft` is the share of the budget at which it is told, `reserve` the share that is kept until
    `use_reserve`. Works without a broker; with one, the run is metered there as well. Raises
    `ValueError` for an amount or a share that is none.
    """
    unknown = options.keys() - Options.__annotations__.keys()
    if unknown:
        known = ", ".join(sorted(Options.__annotations__))
        raise TypeError(f"session() does not know {', '.join(sorted(unknown))}; it knows {known}")
    name = session or uuid.uuid4().hex
    whose = agent or process.default_agent() or UNATTRIBUTED
    # Without the budget: the limit is what tells of it, `hard_limit`, once and exactly.
    policy = Policy(
        profile=options.get("profile", "production"),
        detectors=options.get("detectors", DetectorParameters()),
    )
    limits = Limits(name, budget, soft, reserve)
    # Here, not at the first call: the first list of prices in a process takes a third of a second.
    prices.book()
    books = Books(name, whose, limits, policy, unpriced=options.get("unpriced", "pending"))
    # Without one, the agent that a framework knows is the event's, then that of the settings.
    fields: Fields = {"session": name} if agent is None else {"session": name, "agent": agent}
    for each in _ATTRIBUTION:
        if (value := options.get(each)) is not None:
            fields[each] = value
    return Session(books, fields, options)


def track_tool(
    cost: Cost = None, *, tool: str | None = None, connection: str | None = None
) -> Tracked:
    """Decorates a function that is a tool: checked before it runs, counted after it.

    `cost` is an amount of dollars, or a function of its arguments by name and of its result;
    without one, the tool costs what the workspace has set.
    """
    return toll(cost, tool=tool, connection=connection)


def report() -> Report:
    """What the session around this has spent. Outside of sessions, and without brokers: what the
    process has spent in none, since `instrument()` or the first call of this.

    Raises `RuntimeError` outside of a session with brokers: the workspace's books are the worker's.
    """
    books = run_books() or process.keep_books(process_books)
    if isinstance(books, Books):
        return report_of(books)
    raise RuntimeError(
        "no session runs here; use `with meter.session(...)`, or ask the api what a workspace spent"
    )


def process_books() -> Books:
    """Of what runs in no session: priced and added up. Nothing is detected in it or stopped: it is
    many runs at once."""
    prices.book()
    policy = Policy(detectors=DetectorParameters(off=list(DETECTORS)))
    return Books("", UNATTRIBUTED, Limits("", None, 1.0, 0.0), policy)


def set_price(
    model: str,
    *,
    input: Amount,
    output: Amount,
    provider: str | None = None,
    cache_read: Amount | None = None,
    cache_write: Amount | None = None,
    input_audio: Amount | None = None,
    output_audio: Amount | None = None,
) -> None:
    """A price of your own for a model, for sessions in this process: dollars a million tokens.

    What a workspace's worker charges is set with `tollway price set`. Raises `ValueError`.
    """
    prices.set_price(
        model,
        provider=provider,
        input_per_million=usd(amount_pico(input, "input")),
        output_per_million=usd(amount_pico(output, "output")),
        cache_read_per_million=_per_million(cache_read, "cache_read"),
        cache_write_per_million=_per_million(cache_write, "cache_write"),
        input_audio_per_million=_per_million(input_audio, "input_audio"),
        output_audio_per_million=_per_million(output_audio, "output_audio"),
    )


def _per_million(amount: Amount | None, what: str) -> Decimal | None:
    return None if amount is None else usd(amount_pico(amount, what))
