"""What a record becomes in ClickHouse: rows of a table, nothing, or a dead letter's reason."""

import msgspec
from pydantic import ValidationError

from tollway.contract.command import command_adapter
from tollway.contract.control import ControlRecord, Decision, Finding, Heartbeat, Version
from tollway.contract.deadletter import DeadLetter, Reason
from tollway.contract.ledger_entries import AccountEntry, SpendEntry
from tollway.contract.moments import format_ms, parse_ms
from tollway.contract.subjects import Subject, encode_subject
from tollway.contract.topics import CHARGES, COMMANDS, CONTROL, DEADLETTER, LEDGER
from tollway.sinks.records import Line, Record

__all__ = ["SINK_TOPICS", "MalformedRecord", "rows_of"]

SINK_TOPICS = (CHARGES.name, LEDGER.name, CONTROL.name, COMMANDS.name, DEADLETTER.name)


class MalformedRecord(ValueError):
    """A record that is no row and never will be; `reason` is the dead letter's."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail


class _EntryType(msgspec.Struct):
    type: str


class _AccountRow(msgspec.Struct, kw_only=True, gc=False, omit_defaults=True):
    workspace: str
    budget_id: str
    subject: Subject
    subject_text: str
    window: str
    window_start: str | None
    window_end: str | None
    spent: str
    tokens: int
    calls: int
    fired_percent: list[int]
    last_event_ms: int
    partition: int
    generation: int
    version: int


class _Stamp(msgspec.Struct, kw_only=True):
    """Where in the logs a decision or a finding was made."""

    cause_partition: int
    cause_offset: int
    cause_event_id: str
    generation: int
    usage_offset: int
    commands_offset: int
    # Too large for JSON's integers, so text.
    version: str


class _DecisionRow(_Stamp, kw_only=True):
    id: str
    workspace: str
    subject: Subject
    subject_text: str
    rule: str
    action: str
    mode: str
    on_stale: str
    reason: str
    message: str
    unit: str
    spent: str | None
    limit: str | None
    threshold_percent: int | None
    window: str | None
    window_start: str | None
    fallback_model: str | None
    expires_at: str | None
    issued_at: str


class _FindingRow(_Stamp, kw_only=True):
    id: str
    detector: str
    level: str
    workspace: str
    agent: str
    session: str
    step: int | None
    event_id: str
    message: str
    evidence: dict[str, str]
    time: str


class _CommandRow(msgspec.Struct, kw_only=True):
    id: str
    workspace: str
    type: str
    actor: str
    reason: str
    time: str
    document: str
    partition: int
    offset: int
    log_time: str


_encode = msgspec.json.Encoder().encode
_entry_type = msgspec.json.Decoder(_EntryType)
_spend = msgspec.json.Decoder(SpendEntry)
_account = msgspec.json.Decoder(AccountEntry)
_control: msgspec.json.Decoder[ControlRecord] = msgspec.json.Decoder(ControlRecord)
_dead_letter = msgspec.json.Decoder(DeadLetter)


def rows_of(record: Record) -> list[Line]:
    """The rows of a record; raises `MalformedRecord` where there is no reading it."""
    if record.value is None:
        if record.topic in {LEDGER.name, CONTROL.name}:
            return []
        raise MalformedRecord("empty", f"a record of {record.topic} without a value")
    if record.topic == CHARGES.name:
        # Already rows, a chunk of them: the store reads them, nobody else.
        return [Line("charges", record.value, record)]
    try:
        return _read(record, record.value)
    except msgspec.ValidationError as error:
        missing = str(error).startswith("Object missing required field")
        raise MalformedRecord("missing_field" if missing else "wrong_type", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedRecord("broken_json", str(error)) from error
    except RecursionError as error:
        raise MalformedRecord("broken_json", "it is nested too deeply") from error
    except OverflowError as error:
        raise MalformedRecord("out_of_range", str(error)) from error


def _read(record: Record, value: bytes) -> list[Line]:
    if record.topic == LEDGER.name:
        return _from_ledger(record, value)
    if record.topic == CONTROL.name:
        return _from_control(record, value)
    if record.topic == COMMANDS.name:
        return _from_commands(record, value)
    _dead_letter.decode(value)
    return [Line("deadletters", value, record)]


def _from_ledger(record: Record, value: bytes) -> list[Line]:
    entry_type = _entry_type.decode(value).type
    if entry_type == "spend":
        # Its fields are the columns: read to be sure, written as it is.
        _spend.decode(value)
        return [Line("spend", value, record)]
    if entry_type == "account":
        return [Line("accounts", _encode(_account_row(_account.decode(value))), record)]
    return []


def _account_row(entry: AccountEntry) -> _AccountRow:
    return _AccountRow(
        workspace=entry.workspace,
        budget_id=entry.budget_id,
        subject=entry.subject,
        subject_text=encode_subject(entry.subject),
        window=entry.window,
        window_start=entry.window_start,
        window_end=entry.window_end,
        spent=entry.spent,
        tokens=entry.tokens,
        calls=entry.calls,
        fired_percent=entry.fired_percent,
        last_event_ms=entry.last_event_ms,
        partition=entry.partition,
        generation=entry.generation,
        version=entry.version,
    )


def _from_control(record: Record, value: bytes) -> list[Line]:
    control = _control.decode(value)
    match control:
        case Decision():
            return [Line("decisions", _encode(_decision_row(control)), record)]
        case Finding():
            return [Line("findings", _encode(_finding_row(control)), record)]
        case Heartbeat():
            return []


def _one_number(version: Version) -> str:
    """The three numbers of a version as one, in the same order; offsets begin at -1."""
    generation, usage_offset, commands_offset = version
    return str((generation << 96) + ((usage_offset + 1) << 48) + commands_offset + 1)


def _decision_row(decision: Decision) -> _DecisionRow:
    return _DecisionRow(
        id=decision.id,
        workspace=decision.workspace,
        subject=decision.subject,
        subject_text=encode_subject(decision.subject),
        rule=decision.rule,
        action=decision.action,
        mode=decision.mode,
        on_stale=decision.on_stale,
        reason=decision.reason,
        message=decision.message,
        unit=decision.unit,
        spent=decision.spent,
        limit=decision.limit,
        threshold_percent=decision.threshold_percent,
        window=decision.window,
        window_start=decision.window_start,
        fallback_model=decision.fallback_model,
        expires_at=decision.expires_at,
        issued_at=decision.issued_at,
        cause_partition=decision.cause.partition,
        cause_offset=decision.cause.offset,
        cause_event_id=decision.cause.event_id,
        generation=decision.version[0],
        usage_offset=decision.version[1],
        commands_offset=decision.version[2],
        version=_one_number(decision.version),
    )


def _finding_row(finding: Finding) -> _FindingRow:
    return _FindingRow(
        id=finding.id,
        detector=finding.detector,
        level=finding.level,
        workspace=finding.workspace,
        agent=finding.agent,
        session=finding.session or "",
        step=finding.step,
        event_id=finding.event_id,
        message=finding.message,
        evidence=finding.evidence,
        time=finding.time,
        cause_partition=finding.cause.partition,
        cause_offset=finding.cause.offset,
        cause_event_id=finding.cause.event_id,
        generation=finding.version[0],
        usage_offset=finding.version[1],
        commands_offset=finding.version[2],
        version=_one_number(finding.version),
    )


def _from_commands(record: Record, value: bytes) -> list[Line]:
    try:
        command = command_adapter.validate_json(value)
    except ValidationError:
        # The worker reads the same record by the same rule and writes its dead letter.
        return []
    row = _CommandRow(
        id=command.id,
        workspace=command.workspace,
        type=command.type,
        actor=command.actor,
        reason=command.reason,
        time=format_ms(parse_ms(command.time.isoformat())),
        document=value.decode(),
        partition=record.partition,
        offset=record.offset,
        log_time=format_ms(record.timestamp_ms),
    )
    return [Line("commands", _encode(row), record)]
