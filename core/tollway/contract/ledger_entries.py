"""Records of `tollway.ledger`: the worker's state, one absolute record a key, compacted.

`SpendEntry` and `AccountEntry` also feed the tables `spend` and `accounts`; the others are the
worker's alone. A tombstone (null value) means that the key has left the state. In the worker's own
entries money is an integer with `_pico` in its name; in what feeds tables, a decimal string.
"""

from typing import Any

import msgspec

from tollway.contract.control import Decision
from tollway.contract.subjects import Subject
from tollway.contract.usage import UsageEvent

__all__ = [
    "AccountEntry",
    "DecisionEntry",
    "DocumentEntry",
    "FingerprintsEntry",
    "FreeCall",
    "FreeCallsEntry",
    "HistoryEntry",
    "LedgerEntry",
    "NormEntry",
    "PendingEntry",
    "PositionEntry",
    "ProducerEntry",
    "SessionEntry",
    "SpendEntry",
    "UnpricedEntry",
]


class PositionEntry(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    omit_defaults=True,
    tag_field="type",
    tag="position",
):
    """How far the books are: the last offsets applied, -1 for none. Key ``position``."""

    generation: int
    usage_offset: int
    commands_offset: int
    # The running maximum of the broker's timestamps: the ledger's only clock.
    log_time_ms: int
    # Counts since the beginning of the log, by name: events, duplicates, late, skewed, lost, ...
    counts: dict[str, int]
    # By topic, the broker's id of it, where it tells one: made anew under its old name, a topic
    # has another, and offsets mean other records.
    logs: dict[str, str] = {}


class SpendEntry(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    omit_defaults=True,
    tag_field="type",
    tag="spend",
):
    """One minute of one tuple of dimensions. Absolute: a newer version replaces an older one.

    A late event re-opens a minute as a new accumulator, told apart by `opened_at_offset`; queries
    add accumulators. Field names are the columns of the table `spend`.
    """

    workspace: str
    minute: str
    opened_at_offset: int
    partition: int
    generation: int
    agent: str
    provider: str = ""
    model: str = ""
    connection: str = ""
    tool: str = ""
    user: str = ""
    customer: str = ""
    cost: str
    events: int = 0
    # Calls of models and tools among the events.
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    unpriced_events: int = 0
    # The minute of log time of its last change: when it leaves is a function of the log.
    touched_minute: int = 0
    # (generation << 48) + usage offset + 1 of the books that wrote it: rises with each write.
    version: int


class AccountEntry(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    omit_defaults=True,
    tag_field="type",
    tag="account",
):
    """What a budget's subject spent in one window. Field names are the columns of `accounts`."""

    workspace: str
    budget_id: str
    subject: Subject
    window: str
    # RFC 3339; null for windows without a beginning or an end (run, total).
    window_start: str | None = None
    window_end: str | None = None
    spent: str
    tokens: int = 0
    calls: int = 0
    # Thresholds that have fired in this window, in percent.
    fired_percent: list[int] = []
    # For rolling windows: [bucket number, pico-dollars, tokens, calls], oldest first.
    buckets: list[list[int]] = []
    last_event_ms: int = 0
    # Log time of its last change.
    touched_ms: int = 0
    # Events among them that wait for a price.
    unpriced: int = 0
    partition: int
    generation: int
    version: int


class SessionEntry(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="session"
):
    """One run of one agent: its totals and what the detectors remember of it."""

    workspace: str
    session: str
    agent: str
    parent: str
    tokens: int
    calls: int
    last_event_ms: int
    # What the detectors remember: `RunWatch.pack`.
    watch: list[Any]  # packed state, of no other meaning than to its owner


class ProducerEntry(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="producer"
):
    """The running numbers seen from one producer in one workspace."""

    workspace: str
    producer: str
    next_seq: int
    # Below this, numbers are no longer tracked one by one; fingerprints decide.
    floor: int
    # Ranges [first, last] still missing below `next_seq`, in order.
    missing: list[tuple[int, int]]
    last_event_ms: int


class FingerprintsEntry(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="fingerprints"
):
    """The fingerprints first seen in one closing of the books, in one hour of log time."""

    hour: int
    # 8 bytes each, little-endian; base64 in JSON.
    fingerprints: bytes


class HistoryEntry(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="history"
):
    """One hour of one tuple of dimensions by quarter: what a budget made later counts from."""

    workspace: str
    # agent, provider, model, connection, tool, user, customer
    dimensions: tuple[str, str, str, str, str, str, str]
    hour: int
    # Four quarters of [pico-dollars, tokens, calls].
    quarters: list[list[int]]


class NormEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="norm"):
    """What one agent's finished runs and events usually cost."""

    workspace: str
    agent: str
    # `Norm.pack`.
    norm: list[Any]  # packed state, of no other meaning than to its owner
    last_event_ms: int


class DocumentEntry(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="document"
):
    """A budget, price, tool price or policy in force, as the command that set it wrote it."""

    workspace: str
    kind: str
    name: str
    document: msgspec.Raw
    commands_offset: int
    # The log time at which it was first set; an edit keeps it.
    since_ms: int


class DecisionEntry(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="decision"):
    """The newest decision about (workspace, subject, rule): re-published by the next owner."""

    decision: Decision


class PendingEntry(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="pending"
):
    """An event without a price, kept so that a later price can charge it."""

    event: UsageEvent
    booked_ms: int
    offset: int
    # What it was charged so far: above 0 in the mode `conservative`.
    cost_pico: int


class FreeCall(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A call of a tool that was free when it was booked."""

    event: UsageEvent
    booked_ms: int
    offset: int


class FreeCallsEntry(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="free_calls"
):
    """Free calls of one minute of log time, kept so that a price dated back can charge them."""

    minute: int
    # A list of `FreeCall`.
    calls: msgspec.Raw


class UnpricedEntry(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="unpriced"
):
    """A model of a workspace that has no price."""

    workspace: str
    provider: str
    model: str
    events: int
    since_ms: int


LedgerEntry = (
    PositionEntry
    | SpendEntry
    | AccountEntry
    | SessionEntry
    | ProducerEntry
    | FingerprintsEntry
    | HistoryEntry
    | NormEntry
    | DocumentEntry
    | DecisionEntry
    | PendingEntry
    | FreeCallsEntry
    | UnpricedEntry
)
