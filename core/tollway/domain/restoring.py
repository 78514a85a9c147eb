"""Brings a ledger back from the records that its books wrote."""

from collections.abc import Iterable

from tollway.contract.ledger_entries import (
    AccountEntry,
    DecisionEntry,
    DocumentEntry,
    FingerprintsEntry,
    FreeCallsEntry,
    HistoryEntry,
    LedgerEntry,
    NormEntry,
    PendingEntry,
    PositionEntry,
    ProducerEntry,
    SessionEntry,
    SpendEntry,
    UnpricedEntry,
)
from tollway.contract.moments import format_ms, parse_ms
from tollway.contract.money import parse_usd
from tollway.domain.accounts import Account
from tollway.domain.calendar import FOREVER_MS, HOUR_MS, MINUTE_MS
from tollway.domain.crowding import ACCOUNTS, GAPS, HOURS, MINUTES, PENDING, PRODUCERS
from tollway.domain.dedup import Producer
from tollway.domain.detectors import Norm, RunWatch
from tollway.domain.documents import adopt
from tollway.domain.leaving import RUN_IDLE_MINUTES, SESSION_IDLE_MS
from tollway.domain.ledger import Ledger
from tollway.domain.spend import CARRIED, Hour, Minute
from tollway.domain.waiting import Pending, Unpriced
from tollway.domain.workspaces import Document

__all__ = ["restore"]


def restore(ledger: Ledger, records: Iterable[tuple[str, LedgerEntry]]) -> None:
    """Fills an empty ledger with the newest record of each key, in any order of keys."""
    # Who must leave is asked of the whole.
    ledger.crowds.may_leave = False
    by_kind: dict[type, list[tuple[str, LedgerEntry]]] = {}
    for key, entry in records:
        by_kind.setdefault(type(entry), []).append((key, entry))
    # Documents first: accounts belong to budgets, and prices to workspaces.
    for _, entry in by_kind.get(PositionEntry, []):
        assert isinstance(entry, PositionEntry)
        _position(ledger, entry)
    documents = [entry for _, entry in by_kind.get(DocumentEntry, [])]
    for document in sorted(documents, key=_command_offset):
        assert isinstance(document, DocumentEntry)
        _document(ledger, document)
    for kind, entries in by_kind.items():
        if kind is not PositionEntry and kind is not DocumentEntry:
            for key, entry in entries:
                _one(ledger, key, entry)
    for workspace in ledger.workspaces.values():
        for unpriced in workspace.unpriced.values():
            unpriced.waiting.sort(key=_log_order)
    ledger.pricer.free.restored()
    ledger.crowds.may_leave = True


def _command_offset(entry: LedgerEntry) -> int:
    return entry.commands_offset if isinstance(entry, DocumentEntry) else -1


def _log_order(pending: Pending) -> int:
    return pending.offset


def _position(ledger: Ledger, entry: PositionEntry) -> None:
    ledger.generation = entry.generation
    ledger.moment.generation = ledger.seen.prints.generation = entry.generation
    ledger.usage_offset = ledger.moment.offset = entry.usage_offset
    ledger.commands_offset = ledger.moment.commands = entry.commands_offset
    ledger.log_ms = ledger.moment.time_ms = entry.log_time_ms
    ledger.booking.log_text = format_ms(entry.log_time_ms)
    ledger.log_minute = entry.log_time_ms // MINUTE_MS
    ledger.sweeper.hour = ledger.log_minute // 60
    ledger.counts.update(entry.counts)


def _document(ledger: Ledger, entry: DocumentEntry) -> None:
    workspace = ledger.open_workspace(entry.workspace)
    document = Document(entry.workspace, entry.kind, entry.name)
    document.text = bytes(entry.document)
    document.commands_offset = entry.commands_offset
    document.since_ms = entry.since_ms
    workspace.documents[(entry.kind, entry.name)] = document
    adopt(ledger, workspace, document)


def _one(ledger: Ledger, key: str, entry: LedgerEntry) -> None:
    match entry:
        case SpendEntry():
            _minute(ledger, entry)
        case HistoryEntry():
            _hour(ledger, entry)
        case SessionEntry():
            _session(ledger, entry)
        case UnpricedEntry():
            waiting = _unpriced(ledger, entry.workspace, entry.provider, entry.model)
            waiting.events, waiting.since_ms = entry.events, entry.since_ms
        case NormEntry():
            norm = ledger.open_workspace(entry.workspace).norm(entry.agent)
            norm.norm = Norm.restore(entry.norm)
            norm.last_ms = entry.last_event_ms
            ledger.sweeper.keep_norm(norm, norm.last_ms)
        case AccountEntry():
            _account(ledger, entry)
        case _:
            _seen_or_said(ledger, key, entry)


def _seen_or_said(ledger: Ledger, key: str, entry: LedgerEntry) -> None:
    match entry:
        case ProducerEntry():
            _producer(ledger, entry)
        case FingerprintsEntry():
            ledger.seen.prints.restore(key, entry)
        case FreeCallsEntry():
            ledger.pricer.free.restore(key, entry)
        case PendingEntry():
            event = entry.event
            unpriced = _unpriced(ledger, event.workspace, event.provider or "", event.model or "")
            unpriced.waiting.append(Pending(event, entry.booked_ms, entry.offset, entry.cost_pico))
            ledger.crowds.add(PENDING)
        case DecisionEntry():
            lapses = entry.decision.expires_at
            expires_ms = FOREVER_MS if lapses is None else parse_ms(lapses)
            ledger.verdicts.restore(entry.decision, expires_ms)
        case _:
            raise AssertionError(f"{type(entry).__name__} is restored elsewhere")


def _hour(ledger: Ledger, entry: HistoryEntry) -> None:
    lane = ledger.open_workspace(entry.workspace).lane(entry.dimensions)
    if entry.hour != CARRIED:
        ledger.crowds.enter(HOURS)
    hour = Hour(lane, entry.hour)
    hour.quarters = entry.quarters
    lane.hours[entry.hour] = hour
    ledger.sweeper.keep_hour(hour)


def _minute(ledger: Ledger, entry: SpendEntry) -> None:
    workspace = ledger.open_workspace(entry.workspace)
    lane = workspace.lane(
        (
            entry.agent,
            entry.provider,
            entry.model,
            entry.connection,
            entry.tool,
            entry.user,
            entry.customer,
        )
    )
    number = parse_ms(entry.minute) // MINUTE_MS
    ledger.crowds.enter(MINUTES)
    minute = Minute(lane, number, entry.opened_at_offset, entry.partition, entry.generation)
    minute.cost = parse_usd(entry.cost)
    minute.events = entry.events
    minute.calls = entry.calls
    minute.input = entry.input_tokens
    minute.output = entry.output_tokens
    minute.cache_read = entry.cache_read_tokens
    minute.cache_write = entry.cache_write_tokens
    minute.unpriced = entry.unpriced_events
    minute.touched = entry.touched_minute
    lane.minutes[number] = minute
    ledger.sweeper.keep_minute(minute)


def _session(ledger: Ledger, entry: SessionEntry) -> None:
    workspace = ledger.open_workspace(entry.workspace)
    run = workspace.run(entry.session, entry.agent)
    if entry.parent:
        workspace.learn_parent(run, entry.parent)
    run.tokens, run.calls = entry.tokens, entry.calls
    run.last_ms = entry.last_event_ms
    run.watch = RunWatch.restore(entry.watch)
    if ledger.log_minute <= entry.last_event_ms // MINUTE_MS + RUN_IDLE_MINUTES:
        ledger.sweeper.keep_run(run, entry.last_event_ms)
    else:
        # It is past the pause that finishes a run, so it waits to leave.
        slot = (entry.last_event_ms + SESSION_IDLE_MS) // HOUR_MS + 1
        ledger.sweeper.sessions.put(run, slot)


def _unpriced(ledger: Ledger, workspace: str, provider: str, model: str) -> Unpriced:
    waiting = ledger.open_workspace(workspace).unpriced
    found = waiting.get((provider, model))
    if found is None:
        found = waiting[(provider, model)] = Unpriced(workspace, provider, model, 0)
    return found


def _account(ledger: Ledger, entry: AccountEntry) -> None:
    workspace = ledger.open_workspace(entry.workspace)
    rule = workspace.rules.get(entry.budget_id)
    if rule is None:
        raise ValueError(
            f"account of budget {entry.budget_id!r} in workspace {entry.workspace!r} has no"
            " budget; the ledger's records are incomplete: rebuild it from the log"
        )
    purse = workspace.purse(rule, entry.subject)
    start = 0 if entry.window_start is None else parse_ms(entry.window_start)
    end = FOREVER_MS if entry.window_end is None else parse_ms(entry.window_end)
    account = Account(rule, entry.subject, start, end, entry.partition)
    account.spent = parse_usd(entry.spent)
    account.tokens, account.calls = entry.tokens, entry.calls
    account.last_ms, account.touched_ms = entry.last_event_ms, entry.touched_ms
    account.buckets = entry.buckets
    account.unpriced = entry.unpriced
    account.set_fired(len(entry.fired_percent))
    ledger.crowds.enter(ACCOUNTS)
    purse.accounts[start] = account
    if start >= purse.start_ms:
        purse.current, purse.start_ms, purse.end_ms = account, start, end
    ledger.sweeper.keep_account(account, entry.touched_ms)


def _producer(ledger: Ledger, entry: ProducerEntry) -> None:
    producer = Producer(entry.workspace, entry.producer)
    producer.next_seq, producer.floor = entry.next_seq, entry.floor
    producer.first = [first for first, _ in entry.missing]
    producer.last = [last for _, last in entry.missing]
    producer.last_ms = entry.last_event_ms
    ledger.crowds.enter(PRODUCERS)
    ledger.crowds.sizes[GAPS] += len(producer.first)
    ledger.open_workspace(entry.workspace).producers[entry.producer] = producer
    ledger.sweeper.keep_producer(producer, entry.last_event_ms)
